"""A condition is one tensor, also where a base takes more than one from a prompt: what is pooled stands in rows of its own, last.

So everything that mixes, repeats, learns or stores conditions handles `[tokens, dim]`, whatever the base.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["packed", "pooled_rows", "unpacked"]


def packed(states: Float[Tensor, "batch tokens dim"], pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch rows dim"]:
    """States of tokens, then the pooled state in as many rows as it fills, zeros behind it."""
    dim = states.shape[2]
    rows = pooled_rows(pooled.shape[1], dim)
    filled = F.pad(pooled, (0, rows * dim - pooled.shape[1])).unflatten(1, (rows, dim))
    return torch.cat([states, filled], dim=1)


def unpacked(
    condition: Float[Tensor, "batch rows dim"], width: int
) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch width"]]:
    """States of tokens, and the pooled state, which is this wide."""
    tokens = condition.shape[1] - pooled_rows(width, condition.shape[2])
    return condition[:, :tokens], condition[:, tokens:].flatten(1)[:, :width]


def pooled_rows(width: int, dim: int) -> int:
    """How many rows a pooled state fills."""
    return -(-width // dim)
