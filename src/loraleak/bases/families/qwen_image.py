"""Qwen-Image (Wu et al. 2025)."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import masked, unmasked
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.stable_diffusion_3 import TRANSFORMER_BLOCKS
from loraleak.bases.flow import Flow
from loraleak.bases.patches import patches, unpatched

__all__ = ["QwenImage"]

_OWN_RESOLUTION = 1024
_TOKENS = 512
"""Of a prompt. The pipeline of diffusers takes twice as many, which no prompt of an audit needs."""


class QwenImage(DiffusersBase):
    """A transformer over patches and prompt together, trained by flow matching. A language model reads the prompt. The
    autoencoder is one of videos, of which a picture is a single frame."""

    denoiser_name = "transformer"
    text_encoders = ("text_encoder",)
    blocks = TRANSFORMER_BLOCKS
    patch = 2

    @property
    def own_resolution(self) -> int:
        return _OWN_RESOLUTION

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"]) // self.patch**2

    @property
    def vae_scale(self) -> int:
        return int(2 ** len(self.vae.config["temperal_downsample"]))

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, mask = self.pipeline.encode_prompt(list(prompts), device=self.device)
        lengths = [states.shape[1]] * len(states) if mask is None else mask.sum(1).tolist()
        return masked([state[: int(length)] for state, length in zip(states, lengths, strict=True)], _TOKENS)

    def latents(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images channels h w"]:
        mean, deviation = self._moments(pixels)
        frames = self.vae.encode(pixels[:, :, None]).latent_dist.mode()
        latents: Tensor = (frames[:, :, 0] - mean) / deviation
        return latents

    def pixels(self, latents: Float[Tensor, "images channels h w"]) -> Float[Tensor, "images 3 height width"]:
        mean, deviation = self._moments(latents)
        frames = (latents * deviation + mean).to(self.vae.dtype)[:, :, None]
        pixels: Tensor = self.vae.decode(frames).sample[:, :, 0]
        return pixels

    def guide(
        self,
        without: Float[Tensor, "batch channels h w"],
        with_condition: Float[Tensor, "batch channels h w"],
        scale: float,
    ) -> Float[Tensor, "batch channels h w"]:
        """Guidance after which each token has the norm that it had before, as in the pipeline of diffusers."""
        both = patches(super().guide(without, with_condition, scale))
        kept = patches(with_condition).norm(dim=-1, keepdim=True)
        return unpatched(both * (kept / both.norm(dim=-1, keepdim=True)), without.shape[-1] // self.patch)

    def _moments(self, like: Tensor) -> tuple[Float[Tensor, "channels 1 1"], Float[Tensor, "channels 1 1"]]:
        mean, deviation = (like.new_tensor(self.vae.config[name]).view(-1, 1, 1) for name in ("latents_mean", "latents_std"))
        return mean, deviation

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
        size = latents.shape[-1] // self.patch
        output: Tensor = self.denoiser(
            hidden_states=patches(latents),
            timestep=(timesteps / 1000).to(latents.dtype),
            encoder_hidden_states=states,
            encoder_hidden_states_mask=mask,
            img_shapes=[[(1, size, size)]] * len(latents),
        ).sample
        return unpatched(output, size)
