"""LoRA, LoCon, LoHa and LoKr modules (Yeh et al. 2024, arXiv 2309.14859, section 3) as pairs of factors, exactly.

Their shapes were checked before, by `shapes`.
"""

import math
from collections.abc import Mapping

import numpy as np

from loraleak.adapters.shapes import TensorRole

__all__ = ["Array", "Half", "Halves", "halves_of", "pair_of_halves"]

Array = np.ndarray
Half = tuple[Array, ...]
"""A matrix or kernel: whole, `[m, n]` or `[m, n, *kernel]`, or as its pair `[m, k]` and `[k, n]`, or `[k, n, *kernel]`."""

Halves = tuple[Half, ...]
"""An update without its scale: one, or the two of LoKr, of which the update is the Kronecker product."""


def halves_of(tensors: Mapping[TensorRole, Array]) -> Halves:
    """The update of one module, of tensors whose shapes `pair_shapes` took; LoKr stays a product of two, which is much smaller."""
    if "hada_w1_a" in tensors:
        return (_loha(tensors),)
    if "down" in tensors:
        down, up = tensors["down"], tensors["up"]
        if "mid" in tensors:
            down = _tucker(tensors["mid"], _flat(down))
        return ((up, down),)
    return (
        _half(tensors, "lokr_w1", "lokr_w1_a", "lokr_w1_b", None),
        _half(tensors, "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    )


def pair_of_halves(halves: Halves) -> tuple[Array, Array]:
    """B and A of an update, `[d_out, rank, *ones]` and `[rank, d_in, *kernel]`.

    With `W1 = L1 R1` and `W2 = L2 R2`, `kron(W1, W2)` is `kron(L1, L2) kron(R1, R2)`, of rank r1 r2.
    """
    (up, down), *others = (half if len(half) == 2 else _thin(half[0]) for half in halves)
    for left, right in others:
        up, down = _kron(_flat(up), _flat(left)), _kron(down, right)
    return up.reshape(*up.shape[:2], *(1 for _ in down.shape[2:])), down


def _loha(tensors: Mapping[TensorRole, Array]) -> Half:
    """`(B1 A1) * (B2 A2)`, elementwise: row-wise Khatri-Rao products of the two pairs, of rank r1 r2."""
    b1, a1, b2, a2 = tensors["hada_w1_a"], tensors["hada_w1_b"], tensors["hada_w2_a"], tensors["hada_w2_b"]
    if "hada_t1" in tensors:
        # LyCORIS' Tucker form has the outer factors as `[rank, d_out]`, and its core's first index is theirs.
        b1, b2 = b1.T, b2.T
        a1, a2 = _tucker(tensors["hada_t1"], a1), _tucker(tensors["hada_t2"], a2)
    if len(a1) * len(a2) > min(len(b1), math.prod(a1.shape[1:])):
        return (((b1 @ _flat(a1)) * (b2 @ _flat(a2))).reshape(len(b1), *a1.shape[1:]),)
    down = (a1[:, None] * a2[None]).reshape(-1, *a1.shape[1:])
    return _flat(b1[:, :, None] * b2[:, None, :]), down


def _half(
    tensors: Mapping[TensorRole, Array], whole: TensorRole, left: TensorRole, right: TensorRole, core: TensorRole | None
) -> Half:
    if whole in tensors:
        return (tensors[whole],)
    first, second = tensors[left], tensors[right]
    if core is not None and core in tensors:
        first, second = first.T, _tucker(tensors[core], second)
    if len(second) > min(len(first), math.prod(second.shape[1:])):
        return ((first @ _flat(second)).reshape(len(first), *second.shape[1:]),)
    return first, second


def _flat(kernel: Array) -> Array:
    return kernel.reshape(len(kernel), -1)


def _tucker(core: Array, inner: Array) -> Array:
    """`A'[m, i, h, w] = sum_n core[m, n, h, w] inner[n, i]`."""
    return np.moveaxis(np.moveaxis(core, 1, -1) @ inner, -1, 1)


def _kron(first: Array, second: Array) -> Array:
    """Kronecker product of a matrix with a matrix or kernel, in the first two dimensions."""
    (m, n), (p, q, *kernel) = first.shape, second.shape
    ones = [1] * len(kernel)
    return (first.reshape(m, 1, n, 1, *ones) * second.reshape(1, p, 1, q, *kernel)).reshape(m * p, n * q, *kernel)


def _thin(weight: Array) -> tuple[Array, Array]:
    """A matrix or kernel times the identity, on its shorter side."""
    rows, columns = weight.shape[:2]
    if weight.ndim == 2 and columns < rows:
        return weight, np.eye(columns, dtype=weight.dtype)
    return np.eye(rows, dtype=weight.dtype), weight
