"""Stable Diffusion XL (Podell et al. 2023)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.diffusion import Diffusion
from loraleak.bases.families.stable_diffusion import UNET_BLOCKS

__all__ = ["StableDiffusionXL"]


class StableDiffusionXL(DiffusersBase):
    """A U-Net that takes the last but one hidden states of two text encoders side by side, the second one's pooled state, and the
    image's size."""

    denoiser_name = "unet"
    text_encoders = ("text_encoder", "text_encoder_2")
    blocks = UNET_BLOCKS

    @property
    def own_resolution(self) -> int:
        return int(self.denoiser.config["sample_size"]) * self.vae_scale

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"])

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _, pooled, _ = self.pipeline.encode_prompt(list(prompts), device=self.device, do_classifier_free_guidance=False)
        return packed(states, pooled)

    def _schedule(self, scheduler: Any) -> Diffusion:
        return Diffusion(scheduler)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, pooled = unpacked(condition, int(self.pipeline.text_encoder_2.config.projection_dim))
        side = self.resolution
        sizes = torch.tensor([side, side, 0, 0, side, side], dtype=latents.dtype, device=latents.device)  # whole, not cropped
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(latents), -1)}
        return self.denoiser(latents, timesteps, states, added_cond_kwargs=added).sample
