"""Z-Image and Z-Image Turbo (Tongyi 2025)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import masked, unmasked
from loraleak.bases.diffusers_base import Blocks, DiffusersBase
from loraleak.bases.flow import Flow

__all__ = ["ZImage"]

_OWN_RESOLUTION = 1024
_TOKENS = 512


class ZImage(DiffusersBase):
    """A transformer over patches and prompt in one sequence, trained by flow matching. A language model reads the prompt.

    Turbo was distilled to work without guidance; nothing but its name tells it."""

    denoiser_name = "transformer"
    text_encoders = ("text_encoder",)
    blocks = Blocks(
        within=("transformer.layers.", "transformer.noise_refiner.", "transformer.context_refiner."),
        transformer="",
        prompt=(".context_refiner.",),
    )
    patch = 2

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return "turbo" in self.name.lower()

    @property
    def own_resolution(self) -> int:
        return _OWN_RESOLUTION

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"])

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False, max_sequence_length=_TOKENS
        )
        return masked(states, _TOKENS)

    def _schedule(self, scheduler: Any) -> Flow:
        return Flow(scheduler, tokens=(self.latent_shape[1] // self.patch) ** 2)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, mask = unmasked(condition, _TOKENS)
        texts = list(states) if mask.is_meta else [state[kept] for state, kept in zip(states, mask, strict=True)]
        frames = list(latents[:, :, None])
        velocity = self.denoiser(frames, ((1000 - timesteps) / 1000).to(latents.dtype), texts).sample
        return -torch.stack(list(velocity))[:, :, 0]
