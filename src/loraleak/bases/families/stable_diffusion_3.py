"""Stable Diffusion 3 and 3.5 (Esser et al. 2024)."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.diffusers_base import Blocks, DiffusersBase
from loraleak.bases.flow import Flow

__all__ = ["TRANSFORMER_BLOCKS", "StableDiffusion3"]

TRANSFORMER_BLOCKS = Blocks(
    within=("transformer.transformer_blocks.", "transformer.single_transformer_blocks."),
    transformer="",
    prompt=(".attn.add_", ".attn.to_add_out"),
)


class StableDiffusion3(DiffusersBase):
    """A transformer over patches and prompt together, trained by flow matching. The prompt comes from two of CLIP's text
    encoders and from T5. T5 may be missing; its states are zeros then."""

    denoiser_name = "transformer"
    text_encoders = ("text_encoder", "text_encoder_2", "text_encoder_3")
    blocks = TRANSFORMER_BLOCKS
    patch = 2

    @property
    def own_resolution(self) -> int:
        return int(self.denoiser.config["sample_size"]) * self.vae_scale

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config["in_channels"])

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), None, None, device=self.device, do_classifier_free_guidance=False
        )
        return packed(states, pooled)

    def _schedule(self, scheduler: Any) -> Flow:
        return Flow(scheduler, tokens=(self.latent_shape[1] // self.patch) ** 2, to_last=False)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, pooled = unpacked(condition, int(self.denoiser.config["pooled_projection_dim"]))
        return self.denoiser(
            hidden_states=latents, timestep=timesteps, encoder_hidden_states=states, pooled_projections=pooled
        ).sample
