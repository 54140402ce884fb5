"""Chroma (Lodestone Rock 2025): Flux.1 schnell without a pooled state, where the padding of the prompt is masked."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.transformers.transformer_chroma import ChromaSingleTransformerBlock
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from loraleak.bases.conditions import packed, unpacked
from loraleak.bases.families.flux import Flux, places
from loraleak.bases.patches import patches, unpatched

__all__ = ["Chroma"]

_TOKENS = 512


class Chroma(Flux):
    """T5 alone gives the prompt, with a mask in the place of a pooled state. Guidance takes a second pass."""

    text_encoders = ("text_encoder",)
    _mask: Tensor | None = None

    @property
    def distilled(self) -> bool:  # type: ignore[override]
        return False

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        states, _, mask, *_ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False, max_sequence_length=_TOKENS
        )
        return packed(states, mask)

    def recompute(self) -> None:
        self.denoiser.enable_gradient_checkpointing(self._checkpointed)

    def _checkpointed(self, block: nn.Module, *arguments: Any) -> Any:
        """What diffusers does, with the mask that it leaves out of single blocks (0.42)."""
        masks = (self._mask,) if isinstance(block, ChromaSingleTransformerBlock) and len(arguments) == 3 else ()
        return checkpoint(block, *arguments, *masks, use_reentrant=False)

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
        self._mask = torch.cat([mask, tokens.new_ones(tokens.shape[:2])], dim=1)
        output: Tensor = self.denoiser(
            hidden_states=tokens,
            timestep=(timesteps / 1000).to(latents.dtype),
            encoder_hidden_states=states,
            txt_ids=latents.new_zeros(states.shape[1], 3),
            img_ids=places(size, latents),
            attention_mask=self._mask,
        ).sample
        return unpatched(output, size)
