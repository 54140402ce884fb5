"""Flux.1 (Black Forest Labs 2024), dev and schnell."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.stable_diffusion_3 import TRANSFORMER_BLOCKS
from loraleak.bases.flow import Flow

__all__ = ["Flux"]

_OWN_RESOLUTION = 1024
_TOKENS = {True: 512, False: 256}
"""Tokens of T5: dev takes 512, schnell 256."""


class Flux(DiffusersBase):
    """A transformer over patches and prompt together, trained by flow matching. T5 gives the prompt's tokens, CLIP its pooled
    state. Dev takes the guidance scale as an input."""

    denoiser_name = "transformer"
    text_encoders = ("text_encoder", "text_encoder_2")
    blocks = TRANSFORMER_BLOCKS
    patch = 2

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return bool(self.denoiser.config["guidance_embeds"])

    @property
    def own_resolution(self) -> int:
        return _OWN_RESOLUTION

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"]) // self.patch**2

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, max_sequence_length=_TOKENS[self.distilled]
        )
        return packed(states, pooled)

    def _schedule(self, scheduler: Any) -> Flow:
        return Flow(scheduler, tokens=(self.latent_shape[1] // self.patch) ** 2, to_last=True)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, pooled = unpacked(condition, int(self.denoiser.config["pooled_projection_dim"]))
        size = latents.shape[-1] // self.patch
        places = torch.zeros(size, size, 3, dtype=latents.dtype, device=latents.device)
        places[..., 1] += torch.arange(size, device=latents.device)[:, None]
        places[..., 2] += torch.arange(size, device=latents.device)[None]
        output: Tensor = self.denoiser(
            hidden_states=_patches(latents),
            timestep=(timesteps / 1000).to(latents.dtype),
            guidance=latents.new_full((len(latents),), guidance) if self.distilled else None,
            encoder_hidden_states=states,
            pooled_projections=pooled,
            txt_ids=latents.new_zeros(states.shape[1], 3),
            img_ids=places.flatten(0, 1),
        ).sample
        return _unpatched(output, size)


def _patches(latents: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch tokens patched"]:
    """Tokens of 2 x 2 latents each, the channel slowest."""
    cut = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def _unpatched(tokens: Float[Tensor, "batch tokens patched"], size: int) -> Float[Tensor, "batch channels h w"]:
    cut = tokens.unflatten(1, (size, size)).unflatten(3, (-1, 2, 2))
    return cut.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
