"""Pipelines of true size with random weights, for measurements of memory and time. Shapes are those of the published models."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from loraleak.pocket.vocabulary import build_tokenizer

__all__ = ["PIPELINES", "TINY", "make_pipeline"]

Configs = Mapping[str, Mapping[str, Any]]

_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
_T5_XXL = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24, "vocab_size": 32128}
_VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}

PIPELINES: Mapping[str, Configs] = {
    "sd15": {
        "unet": {"sample_size": 64, "cross_attention_dim": 768},
        "text_encoder": _CLIP_L,
        "vae": {**_VAE, "latent_channels": 4, "scaling_factor": 0.18215},
    },
    "sdxl": {
        "unet": {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
        "vae": {**_VAE, "latent_channels": 4, "scaling_factor": 0.13025},
    },
    "sd3": {
        "transformer": {
            "sample_size": 128,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 24,
            "attention_head_dim": 64,
            "num_attention_heads": 24,
            "joint_attention_dim": 4096,
            "caption_projection_dim": 1536,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
        },
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
        "text_encoder_3": _T5_XXL,
        "vae": {**_VAE, "latent_channels": 16, "scaling_factor": 1.5305, "shift_factor": 0.0609},
    },
    "flux": {
        "transformer": {
            "in_channels": 64,
            "num_layers": 19,
            "num_single_layers": 38,
            "attention_head_dim": 128,
            "num_attention_heads": 24,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 768,
            "guidance_embeds": True,
            "axes_dims_rope": (16, 56, 56),
        },
        "text_encoder": _CLIP_L,
        "text_encoder_2": _T5_XXL,
        "vae": {**_VAE, "latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159},
    },
}
"""Shapes of each component, by pipeline and the component's name in it."""

TINY: Configs = {
    "unet": {"sample_size": 16, "cross_attention_dim": 64, "block_out_channels": (32, 64, 64, 64), "attention_head_dim": 4},
    "text_encoder": {**_CLIP_L, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "vae": {"block_out_channels": (32, 32, 64, 64), "layers_per_block": 1, "latent_channels": 4},
}
"""Shapes of a small pipeline, of the kind of `sd15`."""

_CLIP_TOKENS = 77


def make_pipeline(name: str, folder: Path, configs: Configs, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Path:
    """Save a pipeline of these shapes with random weights of this type, drawn on this device, unless it is there."""
    if not (folder / "model_index.json").exists():
        torch.manual_seed(0)
        usual = torch.get_default_dtype()
        torch.set_default_dtype(dtype)  # so that no component is ever held in float32 first
        try:
            with torch.device(device):
                pipeline = _CLASSES[name](configs)
            pipeline.save_pretrained(folder)
        finally:
            torch.set_default_dtype(usual)
            gc.collect()
    return folder


def _stable_diffusion(configs: Configs) -> Any:
    return diffusers.StableDiffusionPipeline(
        unet=diffusers.UNet2DConditionModel(**configs["unet"]),
        text_encoder=_clip("CLIPTextModel", configs["text_encoder"]),
        tokenizer=_clip_tokenizer(),
        vae=_autoencoder(configs["vae"]),
        scheduler=_diffusion(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _stable_diffusion_xl(configs: Configs) -> Any:
    return diffusers.StableDiffusionXLPipeline(
        unet=diffusers.UNet2DConditionModel(**configs["unet"]),
        text_encoder=_clip("CLIPTextModel", configs["text_encoder"]),
        text_encoder_2=_clip("CLIPTextModelWithProjection", configs["text_encoder_2"]),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        vae=_autoencoder(configs["vae"]),
        scheduler=_diffusion(),
        add_watermarker=False,
    )


def _stable_diffusion_3(configs: Configs) -> Any:
    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(**configs["transformer"]),
        text_encoder=_clip("CLIPTextModelWithProjection", configs["text_encoder"]),
        text_encoder_2=_clip("CLIPTextModelWithProjection", configs["text_encoder_2"]),
        text_encoder_3=_t5(configs["text_encoder_3"]),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        tokenizer_3=_t5_tokenizer(),
        vae=_autoencoder(configs["vae"]),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _flux(configs: Configs) -> Any:
    return diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(**configs["transformer"]),
        text_encoder=_clip("CLIPTextModel", configs["text_encoder"]),
        text_encoder_2=_t5(configs["text_encoder_2"]),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
        vae=_autoencoder(configs["vae"]),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


_CLASSES: Mapping[str, Callable[[Configs], Any]] = {
    "sd15": _stable_diffusion,
    "sdxl": _stable_diffusion_xl,
    "sd3": _stable_diffusion_3,
    "flux": _flux,
}


def _clip(kind: str, sizes: Mapping[str, Any]) -> Any:
    words = {"vocab_size": 49408, "max_position_embeddings": _CLIP_TOKENS, "bos_token_id": 0, "eos_token_id": 1}
    return getattr(transformers, kind)(transformers.CLIPTextConfig(**words, pad_token_id=1, **sizes))


def _t5(sizes: Mapping[str, Any]) -> Any:
    return transformers.T5EncoderModel(transformers.T5Config(feed_forward_proj="gated-gelu", **sizes))


def _autoencoder(sizes: Mapping[str, Any]) -> AutoencoderKL:
    levels = len(sizes["block_out_channels"])
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * levels, "up_block_types": ("UpDecoderBlock2D",) * levels}
    return AutoencoderKL(**kinds, **sizes)


def _diffusion() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def _clip_tokenizer() -> Any:
    """Pocket's tokenizer: the words are other ones than CLIP's, and as many tokens reach the denoiser."""
    tokenizer = build_tokenizer()
    tokenizer.model_max_length = _CLIP_TOKENS
    return tokenizer


def _t5_tokenizer() -> PreTrainedTokenizerFast:
    """A letter is a token."""
    letters = {letter: i for i, letter in enumerate(["<pad>", "</s>", "<unk>", *" abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
