"""Chroma (Lodestone 2025): Flux.1 without its distilled guidance and without CLIP."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.families.flux import Flux, patches, places, unpatched

__all__ = ["Chroma"]

_TOKENS = 512


class Chroma(Flux):
    """A transformer over patches and prompt together, trained by flow matching. T5 gives the prompt's tokens; those of the padding but
    the first are masked, so that the mask is a part of the condition: its last rows."""

    text_encoders = ("text_encoder",)

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return False

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _, mask, *_ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False, max_sequence_length=_TOKENS
        )
        return packed(states, mask.to(states))

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, mask = unpacked(condition, _TOKENS)
        seen = places(latents)
        output: Tensor = self.denoiser(
            hidden_states=patches(latents),
            timestep=(timesteps / 1000).to(latents.dtype),
            encoder_hidden_states=states,
            attention_mask=torch.cat([mask, mask.new_ones(len(mask), len(seen))], dim=1),
            txt_ids=latents.new_zeros(states.shape[1], 3),
            img_ids=seen,
        ).sample
        return unpatched(output, latents.shape[-1] // self.patch)
