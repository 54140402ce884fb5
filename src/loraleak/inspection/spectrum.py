"""Exact singular values of an update, without building it."""

import numpy as np

from loraleak.adapters import Update

__all__ = ["operations", "singular_values"]

_ROWS = 4096
_Matrix = np.ndarray


def singular_values(update: Update) -> np.ndarray:
    """Singular values of `scale * dW`, `[values]`, the largest first, in float64; of dW alone where the scale is unknown.

    Those of a Kronecker product are all products of its halves' (Horn and Johnson 1991, Topics in Matrix Analysis, theorem 4.2.15).
    """
    values = np.ones(1)
    for half in update.halves:
        values = np.outer(values, _values([_flat(matrix) for matrix in half])).ravel()
    values[::-1].sort()
    return values * (1.0 if update.scale is None else abs(update.scale))


def operations(update: Update) -> int:
    """Rough cost of `singular_values`, in floating-point operations: for each half its QR factorisations, and the core's."""
    cost = 0
    for half in update.halves:
        least = min(min(_flat(matrix).shape) for matrix in half)
        cost += sum(2 * least * matrix.size for matrix in half) + 20 * least**3
    return cost


def _flat(kernel: np.ndarray) -> _Matrix:
    return kernel.reshape(len(kernel), -1)


def _values(half: list[_Matrix]) -> np.ndarray:
    """Singular values of a matrix, or of `B A`: with `B = Q R` and `A^T = P S` those of the core `R S^T`, `[rank, rank]` or smaller."""
    if len(half) == 1:
        (whole,) = half
        tall = whole if whole.shape[0] >= whole.shape[1] else whole.T
        core = _triangle(tall) if len(tall) > 2 * tall.shape[1] else tall.astype(np.float64)
    else:
        up, down = half
        core = _triangle(up) @ _triangle(down.T).T
    values: np.ndarray = np.linalg.svd(core, compute_uv=False)
    return values


def _triangle(tall: _Matrix) -> _Matrix:
    """R of a thin QR factorisation, some thousand rows at a time: each R stands for all rows that it has seen."""
    step = max(_ROWS, tall.shape[1])
    triangle: _Matrix = tall[:0].astype(np.float64)
    for start in range(0, len(tall), step):
        rows = tall[start : start + step].astype(np.float64)
        stacked = np.concatenate([triangle, rows]) if len(triangle) else rows
        triangle = np.asarray(np.linalg.qr(stacked, mode="r"))
    return triangle
