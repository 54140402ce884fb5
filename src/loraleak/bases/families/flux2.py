"""Flux.2 (Black Forest Labs 2025), dev and klein."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.stable_diffusion_3 import TRANSFORMER_BLOCKS
from loraleak.bases.flow import Flow
from loraleak.bases.patches import patches, unpatched

__all__ = ["Flux2"]

_OWN_RESOLUTION = 1024
_TOKENS = 512


class Flux2(DiffusersBase):
    """A transformer over patches and prompt together, trained by flow matching. A language model reads the prompt. Its latents
    are patches of 2 x 2, each channel of which is normalised. Dev takes the guidance scale as an input, klein is distilled to
    work without guidance, and klein's base takes a second pass."""

    denoiser_name = "transformer"
    text_encoders = ("text_encoder",)
    blocks = TRANSFORMER_BLOCKS

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return self._takes_guidance or bool(self.pipeline.config.get("is_distilled"))

    @property
    def own_resolution(self) -> int:
        return _OWN_RESOLUTION

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"])

    @property
    def vae_scale(self) -> int:
        return 2 * super().vae_scale

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states: Tensor
        states, _ = self.pipeline.encode_prompt(list(prompts), device=self.device, max_sequence_length=_TOKENS)
        return states

    def latents(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images channels h w"]:
        mean, deviation = self._moments(pixels)
        fine = self.vae.encode(pixels).latent_dist.mode()
        return (_folded(fine) - mean) / deviation

    def pixels(self, latents: Float[Tensor, "images channels h w"]) -> Float[Tensor, "images 3 height width"]:
        mean, deviation = self._moments(latents)
        fine = (latents * deviation + mean).to(self.vae.dtype)
        pixels: Tensor = self.vae.decode(unpatched(fine.flatten(2).transpose(1, 2), latents.shape[-1])).sample
        return pixels

    @property
    def _takes_guidance(self) -> bool:
        return bool(self.denoiser.config["guidance_embeds"])

    def _moments(self, like: Tensor) -> tuple[Float[Tensor, "channels 1 1"], Float[Tensor, "channels 1 1"]]:
        norm = self.vae.bn
        mean, variance = norm.running_mean.to(like), norm.running_var.to(like)
        return mean.view(-1, 1, 1), torch.sqrt(variance + self.vae.config["batch_norm_eps"]).view(-1, 1, 1)

    def _schedule(self, scheduler: Any) -> Flow:
        return Flow(scheduler, tokens=self.latent_shape[1] ** 2, shift=compute_empirical_mu)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        size, tokens = latents.shape[-1], condition.shape[1]
        rows, columns = torch.meshgrid(*2 * [torch.arange(size, device=latents.device)], indexing="ij")
        zeros, words = torch.zeros_like(rows), torch.arange(tokens, device=latents.device)
        output: Tensor = self.denoiser(
            hidden_states=latents.flatten(2).transpose(1, 2),
            timestep=(timesteps / 1000).to(latents.dtype),
            guidance=latents.new_full((len(latents),), guidance) if self._takes_guidance else None,
            encoder_hidden_states=condition,
            txt_ids=torch.stack([0 * words, 0 * words, 0 * words, words], dim=-1),
            img_ids=torch.stack([zeros, rows, columns, zeros], dim=-1).flatten(0, 1),
        ).sample
        return output.transpose(1, 2).unflatten(2, (size, size))


def _folded(latents: Float[Tensor, "images fine h2 w2"]) -> Float[Tensor, "images channels h w"]:
    return patches(latents).transpose(1, 2).unflatten(2, (-1, latents.shape[-1] // 2))
