"""Chroma (Lodestone Rock 2025): Flux.1 schnell without a pooled state, where the padding of the prompt is masked."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.families.flux import Flux, places
from loraleak.bases.patches import patches, unpatched

__all__ = ["Chroma"]

_TOKENS = 512


class Chroma(Flux):
    """T5 alone gives the prompt, with a mask in the place of a pooled state. Guidance takes a second pass."""

    text_encoders = ("text_encoder",)

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return False

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _, mask, *_ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False, max_sequence_length=_TOKENS
        )
        return packed(states, mask)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        states, mask = unpacked(condition, _TOKENS)
        size = latents.shape[-1] // self.patch
        tokens = patches(latents)
        output: Tensor = self.denoiser(
            hidden_states=tokens,
            timestep=(timesteps / 1000).to(latents.dtype),
            encoder_hidden_states=states,
            txt_ids=latents.new_zeros(states.shape[1], 3),
            img_ids=places(size, latents),
            attention_mask=torch.cat([mask, tokens.new_ones(tokens.shape[:2])], dim=1),
        ).sample
        return unpatched(output, size)
