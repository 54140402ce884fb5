"""A tiny Stable Diffusion of plain diffusers, into which its and peft's own loaders put adapters."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

__all__ = ["noise", "stock_pipeline"]


def stock_pipeline() -> StableDiffusionPipeline:
    """The same weights each time."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    text = CLIPTextConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return StableDiffusionPipeline(
        unet=unet.eval(),
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=None,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@torch.no_grad()
def noise(unet: nn.Module, text_encoder: nn.Module) -> Tensor:
    """What the U-Net predicts for some latents and some words, `[2, 4, 8, 8]`."""
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    states = text_encoder(torch.arange(2, 18).repeat(2, 1)).last_hidden_state
    output: Tensor = unet(latents, torch.tensor([10, 700]), states).sample
    return output
