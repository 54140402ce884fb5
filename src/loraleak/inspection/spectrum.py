"""Exact singular values of an update, without building it."""

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.types import Factors

__all__ = ["operations", "singular_values"]

_ROWS = 4096


def singular_values(factors: Factors) -> Float[Tensor, " rank"]:
    """Of `scale * B A`, the largest first, in float64; of `B A` where the scale is unknown.

    With thin factorisations `B = Q R` and `A^T = P S` they are those of the `rank x rank` core `R S^T`.
    """
    core = _triangle(factors.up.flatten(1)) @ _triangle(factors.down.flatten(1).T).T
    values = torch.linalg.svdvals(core)[: min(factors.rank, factors.up.shape[0])]
    return values * (1.0 if factors.scale is None else abs(factors.scale))


def _triangle(tall: Float[Tensor, "rows rank"]) -> Float[Tensor, "least rank"]:
    """R of a thin QR factorisation, some thousand rows at a time: each R stands for all rows that it has seen."""
    first, *others = tall.split(max(_ROWS, tall.shape[1]))
    triangle = torch.linalg.qr(first.double(), mode="r").R
    for rows in others:
        triangle = torch.linalg.qr(torch.cat([triangle, rows.double()]), mode="r").R
    return triangle


def operations(factors: Factors) -> int:
    """About what `singular_values` takes, in floating-point operations: two QR factorisations, and the core's."""
    rank = factors.rank
    core = min(rank, factors.up.shape[0])
    return 2 * rank * (factors.down.numel() + factors.up.numel()) + 20 * core**3
