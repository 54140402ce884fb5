"""Exact singular values of an update, without building it."""

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.adapters import Update

__all__ = ["operations", "singular_values"]

_ROWS = 4096


def singular_values(update: Update) -> Float[Tensor, " rank"]:
    """Singular values of `scale * B A`, the largest first, in float64; of `B A` where the scale is unknown.

    Those of a Kronecker product are all products of its halves' (Horn and Johnson 1991, Topics in Matrix Analysis, theorem 4.2.15).
    """
    scale = update.factors.scale
    values = torch.ones(1, dtype=torch.float64)
    for up, down in _pairs(update):
        values = torch.outer(values, _values(up, down)).flatten()
    return values.sort(descending=True).values * (1.0 if scale is None else abs(scale))


def operations(update: Update) -> int:
    """Rough cost of `singular_values`, in floating-point operations: for each pair two QR factorisations, and the core's."""
    return sum(2 * up.shape[1] * (down.numel() + up.numel()) + 20 * min(up.shape[:2]) ** 3 for up, down in _pairs(update))


def _pairs(update: Update) -> tuple[tuple[Tensor, Tensor], ...]:
    """B and A, flattened to matrices."""
    pairs = update.halves or ((update.factors.up, update.factors.down),)
    return tuple((up.flatten(1), down.flatten(1)) for up, down in pairs)


def _values(up: Float[Tensor, "d_out rank"], down: Float[Tensor, "rank d_in"]) -> Float[Tensor, " least"]:
    """Singular values of `B A`: with `B = Q R` and `A^T = P S` those of the core `R S^T`, `[rank, rank]` or smaller."""
    return torch.linalg.svdvals(_triangle(up) @ _triangle(down.T).T)


def _triangle(tall: Float[Tensor, "rows rank"]) -> Float[Tensor, "least rank"]:
    """R of a thin QR factorisation, some thousand rows at a time: each R stands for all rows that it has seen."""
    first, *others = tall.split(max(_ROWS, tall.shape[1]))
    triangle = torch.linalg.qr(first.double(), mode="r").R
    for rows in others:
        triangle = torch.linalg.qr(torch.cat([triangle, rows.double()]), mode="r").R
    return triangle
