"""The layers of the bases that people use, by name and shape, from diffusers' and transformers' own classes without weights."""

from functools import cache
from typing import Any

import diffusers
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

_SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 2048,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SD3: dict[str, Any] = {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192}
_CLIP_G = CLIPTextConfig(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, projection_dim=1280)
_T5 = T5Config(d_model=64, d_kv=8, d_ff=128, num_layers=24, num_heads=8, feed_forward_proj="gated-gelu")

_TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "flux2": ("Flux2Transformer2DModel", {}),
    "flux2-klein": ("Flux2Transformer2DModel", {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24}),
    "chroma": ("ChromaTransformer2DModel", {}),
    "qwen-image": ("QwenImageTransformer2DModel", {}),
    "z-image": ("ZImageTransformer2DModel", {}),
    "lumina2": ("Lumina2Transformer2DModel", {}),
    "wan": ("WanTransformer3DModel", {"added_kv_proj_dim": 5120, "image_dim": 1280}),
    "wan-small": ("WanTransformer3DModel", {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}),
    "hunyuan-video": ("HunyuanVideoTransformer3DModel", {}),
    "ltx-video": ("LTXVideoTransformer3DModel", {}),
    "ltx2": ("LTX2VideoTransformer3DModel", {}),
    "sana": ("SanaTransformer2DModel", {}),
    "pixart": ("PixArtTransformer2DModel", {"caption_channels": 4096}),
    "auraflow": ("AuraFlowTransformer2DModel", {}),
    "cogvideox": ("CogVideoXTransformer3DModel", {}),
    "krea2": ("Krea2Transformer2DModel", {}),
    "anima": ("CosmosTransformer3DModel", {"num_attention_heads": 16}),
}
BASES: dict[str, str] = {
    **{name: name for name in ("sd1", "sd2", "sdxl", "sd3", "flux")},
    "sd3.5": "sd3",
    **{name: name.removesuffix("-klein").removesuffix("-small") for name in _TRANSFORMERS},
}
"""Families by base."""


@cache
def layers_of(base: str) -> dict[str, tuple[int, ...]]:
    """Weight shapes by dotted path without component."""
    with torch.device("meta"):
        if base in _TRANSFORMERS:
            name, config = _TRANSFORMERS[base]
            return _shapes(getattr(diffusers, name)(**config))
        model: nn.Module = {
            "sd1": lambda: UNet2DConditionModel(cross_attention_dim=768),
            "sd2": lambda: UNet2DConditionModel(cross_attention_dim=1024, use_linear_projection=True),
            "sdxl": lambda: UNet2DConditionModel(**_SDXL),
            "sd3": lambda: SD3Transformer2DModel(**_SD3),
            "sd3.5": lambda: SD3Transformer2DModel(**_SD3 | {"dual_attention_layers": tuple(range(13))}),
            "flux": lambda: FluxTransformer2DModel(guidance_embeds=True),
            "clip_l": lambda: CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072)),
            "clip_g": lambda: CLIPTextModelWithProjection(_CLIP_G),
            "t5": lambda: T5EncoderModel(_T5),
        }[base]()
    return _shapes(model)


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    kinds = nn.Linear | nn.Conv2d | nn.Conv3d
    return {name: tuple(module.weight.shape) for name, module in model.named_modules() if isinstance(module, kinds)}
