"""The layers of the bases that people use, by name and shape, from diffusers' and transformers' own classes without weights."""

from functools import cache
from typing import Any

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


@cache
def layers_of(base: str) -> dict[str, tuple[int, ...]]:
    """Weight shapes by dotted path without component."""
    with torch.device("meta"):
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
    return {
        name: tuple(module.weight.shape) for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)
    }
