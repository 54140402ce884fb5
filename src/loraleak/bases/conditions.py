"""Conditions as one tensor each. Where a base takes a pooled state too, that state fills rows of its own, the last ones.

So everything that mixes, repeats, learns or stores conditions handles `[tokens, dim]`, whatever the base.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["packed", "pooled_rows", "unpacked"]


def packed(states: Float[Tensor, "batch tokens dim"], pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch rows dim"]:
    """States of tokens, then the pooled state in as many rows as it fills, with zeros in the rest of the last row."""
    dim = states.shape[2]
    rows = pooled_rows(pooled.shape[1], dim)
    filled = F.pad(pooled, (0, rows * dim - pooled.shape[1])).unflatten(1, (rows, dim))
    return torch.cat([states, filled], dim=1)


def unpacked(
    condition: Float[Tensor, "batch rows dim"], width: int
) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch width"]]:
    """States of tokens, and the pooled state of this width."""
    tokens = condition.shape[1] - pooled_rows(width, condition.shape[2])
    return condition[:, :tokens], condition[:, tokens:].flatten(1)[:, :width]


def pooled_rows(width: int, dim: int) -> int:
    """Number of rows that a pooled state fills."""
    return -(-width // dim)
