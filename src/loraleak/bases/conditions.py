"""Conditions as one tensor each. Where a base takes a pooled state or a mask too, that fills rows of its own, the last ones.

So everything that mixes, repeats, learns or stores conditions handles `[tokens, dim]`, whatever the base.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["masked", "packed", "pooled_rows", "unmasked", "unpacked"]


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


def masked(states: Sequence[Float[Tensor, "_ dim"]], tokens: int) -> Float[Tensor, "batch rows dim"]:
    """States of prompts of several lengths: filled with zeros to `tokens`, then the mask, 1 for each token that counts, in the
    place of a pooled state."""
    cut = [state[:tokens] for state in states]
    filled = torch.stack([F.pad(state, (0, 0, 0, tokens - len(state))) for state in cut])
    mask = torch.stack([F.pad(state.new_ones(len(state)), (0, tokens - len(state))) for state in cut])
    return packed(filled, mask)


def unmasked(
    condition: Float[Tensor, "batch rows dim"], tokens: int
) -> tuple[Float[Tensor, "batch length dim"], Bool[Tensor, "batch length"]]:
    """States and mask of `masked`, cut to the longest of the batch. A mask that was mixed or learned counts from 0.5, and the
    first token always does. On the meta device, which has no values, nothing is cut."""
    states, filled = unpacked(condition, tokens)
    mask = filled > 0.5
    first = torch.arange(tokens, device=mask.device) == 0
    mask = mask | first
    if mask.is_meta:
        return states, mask
    length = int(mask.any(0).nonzero().max()) + 1
    return states[:, :length], mask[:, :length]


def pooled_rows(width: int, dim: int) -> int:
    """Number of rows that a pooled state fills."""
    return -(-width // dim)
