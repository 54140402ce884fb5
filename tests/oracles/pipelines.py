"""Tiny pipelines of every family: random weights, the smallest shapes that their classes take, prompts of a few tokens."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from loraleak.pocket.vocabulary import MAX_TOKENS, build_tokenizer

__all__ = ["FAMILIES", "RESOLUTION", "autoencoder", "letters", "t5", "tiny_pipeline"]

RESOLUTION = 32
"""Of all but the first, in pixels."""


def tiny_pipeline(family: str, folder: Path, **changes: Any) -> Path:
    """Save the pipeline of one of `FAMILIES`; `changes` go to what makes it."""
    torch.manual_seed(0)
    FAMILIES[family](**changes).save_pretrained(folder)
    return folder


def _stable_diffusion(prediction_type: str = "epsilon", **scheduler: Any) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=autoencoder(4),
        text_encoder=CLIPTextModel(_clip(16, layers=1)),
        tokenizer=build_tokenizer(),
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=16,
            norm_num_groups=4,
        ),
        scheduler=_diffusion(prediction_type=prediction_type, **scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _stable_diffusion_xl() -> StableDiffusionXLPipeline:
    """Three levels with two layers each, attention in the lower two, as SDXL's, so that the names of the original code apply."""
    return StableDiffusionXLPipeline(
        vae=autoencoder(4),
        text_encoder=CLIPTextModel(_clip(16)),
        text_encoder_2=CLIPTextModelWithProjection(_clip(24, projection=20)),
        tokenizer=build_tokenizer(),
        tokenizer_2=build_tokenizer(),
        unet=UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(8, 16, 24),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 1, 2),
            attention_head_dim=(1, 2, 3),
            cross_attention_dim=40,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 20,
            norm_num_groups=4,
        ),
        scheduler=_diffusion(),
        add_watermarker=False,
    )


def _stable_diffusion_3(*, with_t5: bool = True) -> StableDiffusion3Pipeline:
    return StableDiffusion3Pipeline(
        vae=autoencoder(4, shift=0.1),
        text_encoder=CLIPTextModelWithProjection(_clip(16, projection=16)),
        text_encoder_2=CLIPTextModelWithProjection(_clip(24, projection=24)),
        text_encoder_3=t5(48) if with_t5 else None,
        tokenizer=build_tokenizer(),
        tokenizer_2=build_tokenizer(),
        tokenizer_3=letters() if with_t5 else None,
        transformer=SD3Transformer2DModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=48,
            caption_projection_dim=16,
            pooled_projection_dim=40,
            pos_embed_max_size=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _flux(*, dev: bool = True) -> FluxPipeline:
    return FluxPipeline(
        vae=autoencoder(4, shift=0.1),
        text_encoder=CLIPTextModel(_clip(20)),
        text_encoder_2=t5(24),
        tokenizer=build_tokenizer(),
        tokenizer_2=letters(),
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            pooled_projection_dim=20,
            guidance_embeds=dev,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0 if dev else 1.0, use_dynamic_shifting=dev),
    )


FAMILIES: Mapping[str, Callable[..., Any]] = {
    "sd": _stable_diffusion,
    "sdxl": _stable_diffusion_xl,
    "sd3": _stable_diffusion_3,
    "flux": _flux,
}


def autoencoder(channels: int, shift: float | None = None) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=channels,
        scaling_factor=0.5,
        shift_factor=shift,
    )


def _clip(width: int, *, layers: int = 2, projection: int = 512) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(build_tokenizer()),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=projection,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def t5(width: int) -> T5EncoderModel:
    config = T5Config(vocab_size=64, d_model=width, d_kv=4, d_ff=16, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu")
    return T5EncoderModel(config)


def letters(*more: str) -> PreTrainedTokenizerFast:
    """A letter is a token."""
    known = {letter: i for i, letter in enumerate(["<pad>", "</s>", "<unk>", *" abcdefghijklmnopqrstuvwxyz", *more])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _diffusion(**settings: Any) -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **settings)
