"""Tiny pipelines of the families whose prompt a language model or T5 alone reads: random weights, a letter is a token."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    ChromaPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

from oracles.pipelines import autoencoder, letters, t5

__all__ = ["NEWER_FAMILIES", "tiny_newer_pipeline"]


def tiny_newer_pipeline(family: str, folder: Path, **changes: Any) -> Path:
    """Save the pipeline of one of `NEWER_FAMILIES`; `changes` go to what makes it."""
    torch.manual_seed(0)
    NEWER_FAMILIES[family](**changes).save_pretrained(folder)
    return folder


def _chroma() -> ChromaPipeline:
    return ChromaPipeline(
        vae=autoencoder(4, shift=0.1),
        text_encoder=t5(24),
        tokenizer=letters(),
        transformer=ChromaTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            axes_dims_rope=(4, 6, 6),
            approximator_num_channels=8,
            approximator_hidden_dim=16,
            approximator_layers=1,
        ),
        scheduler=_flow(),
    )


def _z_image() -> ZImagePipeline:
    return ZImagePipeline(
        vae=autoencoder(4, shift=0.1),
        text_encoder=Qwen3Model(_qwen3(layers=2)),
        tokenizer=_chatting(),
        transformer=ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 64, 64],
        ),
        scheduler=_flow(),
    )


def _qwen_image() -> QwenImagePipeline:
    text = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    }
    seen = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    return QwenImagePipeline(
        vae=AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.1, 0.2, 0.0],
            latents_std=[1.5, 2.0, 1.0, 0.7],
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=seen)),
        tokenizer=letters(),
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=_flow(use_dynamic_shifting=True, shift_terminal=0.02, time_shift_type="exponential"),
    )


def _flux2(*, klein: bool) -> Flux2Pipeline | Flux2KleinPipeline:
    parts = {
        "vae": AutoencoderKLFlux2(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
            layers_per_block=1,
        ),
        "transformer": Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=8,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=not klein,
        ),
        "scheduler": _flow(use_dynamic_shifting=True),
    }
    parts["vae"].bn.running_mean += torch.randn(16) / 4
    parts["vae"].bn.running_var *= 2
    if klein:
        return Flux2KleinPipeline(text_encoder=Qwen3ForCausalLM(_qwen3(layers=28)), tokenizer=_chatting(), **parts)
    return Flux2Pipeline(text_encoder=_mistral(), tokenizer=_chatting(in_parts=True), **parts)


NEWER_FAMILIES: Mapping[str, Callable[..., Any]] = {
    "chroma": _chroma,
    "z-image": _z_image,
    "qwen-image": _qwen_image,
    "flux2": lambda: _flux2(klein=False),
    "flux2-klein": lambda: _flux2(klein=True),
}


def _flow(**settings: Any) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **settings})


def _qwen3(layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )


def _chatting(*, in_parts: bool = False) -> PreTrainedTokenizerFast:
    """`in_parts`: what somebody says is a list of parts."""
    content = "message['content'][0]['text']" if in_parts else "message['content']"
    tokenizer = letters()
    tokenizer.chat_template = f"{{% for message in messages %}}{{{{ message['role'] }}}} {{{{ {content} }}}} {{% endfor %}}"
    return tokenizer


def _mistral() -> Mistral3ForConditionalGeneration:
    text = {
        "model_type": "mistral",
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 31,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    seen = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
    }
    return Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=seen))
