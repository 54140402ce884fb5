"""Tokens of 2 x 2 latents each, the channel slowest: what the transformers of Flux and the families after it take."""

from jaxtyping import Float
from torch import Tensor

__all__ = ["patches", "unpatched"]


def patches(latents: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch tokens patched"]:
    """Tokens of latents, row by row."""
    cut = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpatched(tokens: Float[Tensor, "batch tokens patched"], size: int) -> Float[Tensor, "batch channels h w"]:
    """Latents of tokens, `size` of which are a row."""
    cut = tokens.unflatten(1, (-1, size)).unflatten(3, (-1, 2, 2))
    return cut.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
