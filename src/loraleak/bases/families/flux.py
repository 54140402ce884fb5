"""Flux.1 (Black Forest Labs 2024), dev and schnell."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.stable_diffusion_3 import TRANSFORMER_BLOCKS
from loraleak.bases.flow import Flow
from loraleak.bases.patches import patches, unpatched

__all__ = ["Flux", "places"]

_OWN_RESOLUTION = 1024
_TOKENS = {True: 512, False: 256}
"""Tokens of T5: dev takes 512, schnell 256."""


class Flux(DiffusersBase):
    """A transformer over patches and prompt together, trained by flow matching. T5 gives the prompt's tokens, CLIP its pooled
    state. Dev takes the guidance scale as an input."""

    denoiser_name = "transformer"
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder", "text_encoder_2")
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
        return Flow(scheduler, tokens=(self.latent_shape[1] // self.patch) ** 2)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, pooled = unpacked(condition, int(self.denoiser.config["pooled_projection_dim"]))
        size = latents.shape[-1] // self.patch
        output: Tensor = self.denoiser(
            hidden_states=patches(latents),
            timestep=(timesteps / 1000).to(latents.dtype),
            guidance=latents.new_full((len(latents),), guidance) if self.distilled else None,
            encoder_hidden_states=states,
            pooled_projections=pooled,
            txt_ids=latents.new_zeros(states.shape[1], 3),
            img_ids=places(size, latents),
        ).sample
        return unpatched(output, size)


def places(size: int, like: Tensor) -> Float[Tensor, "tokens 3"]:
    """Place of each of `size` x `size` tokens of the image: 0, row, column."""
    grid = torch.zeros(size, size, 3, dtype=like.dtype, device=like.device)
    grid[..., 1] += torch.arange(size, device=like.device)[:, None]
    grid[..., 2] += torch.arange(size, device=like.device)[None]
    return grid.flatten(0, 1)
