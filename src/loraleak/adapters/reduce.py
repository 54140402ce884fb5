"""LoRA, LoCon, LoHa and LoKr modules (Yeh et al. 2024, arXiv 2309.14859, section 3) as one pair of factors, exactly."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Pair", "Role", "reduce_to_pair"]

Role = Literal[
    "down",
    "up",
    "mid",
    "alpha",
    "magnitude",
    "hada_w1_a",
    "hada_w1_b",
    "hada_w2_a",
    "hada_w2_b",
    "hada_t1",
    "hada_t2",
    "lokr_w1",
    "lokr_w1_a",
    "lokr_w1_b",
    "lokr_w2",
    "lokr_w2_a",
    "lokr_w2_b",
    "lokr_t2",
]
"""What a tensor is to its module, in LyCORIS' words where they are its own."""

_KERNELS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Pair:
    """`dW = scale * up @ down`."""

    down: Tensor
    """`[rank, d_in]`, or `[rank, c_in, *kernel]`."""
    up: Tensor
    """`[d_out, rank]`, or `[c_out, rank, *ones]`."""
    rank: int | None
    """That alpha is divided by: the file's own, which LoHa and LoKr exceed here; None where alpha has no meaning."""


def reduce_to_pair(tensors: Mapping[Role, Tensor]) -> Pair:
    """The pair of factors of one module.

    Raises: ValueError, with words that follow the module's name, if tensors are missing or have shapes that make no layer.
    """
    kind = _kind(tensors)
    pair = kind(tensors)
    down, up = pair.down, pair.up
    shapes = f"has factors of shape {list(down.shape)} and {list(up.shape)}"
    if down.ndim not in _KERNELS or up.ndim != down.ndim or any(side != 1 for side in up.shape[2:]):
        raise ValueError(f"{shapes}, which make no layer")
    if down.shape[0] != up.shape[1]:
        raise ValueError(f"{shapes}, of different rank")
    return pair


def _kind(tensors: Mapping[Role, Tensor]) -> Callable[[Mapping[Role, Tensor]], Pair]:
    kinds = {prefix: kind for prefix, kind in _KINDS.items() if any(role.startswith(prefix) for role in tensors)}
    if tensors.keys() & {"down", "up", "mid"}:
        kinds["lora"] = _lora
    if len(kinds) != 1:
        raise ValueError(f"holds {'two kinds of update' if kinds else 'no update'}")
    (kind,) = kinds.values()
    return kind


def _lora(tensors: Mapping[Role, Tensor]) -> Pair:
    for role, other in (("down", "up"), ("up", "down")):
        if role not in tensors:
            raise ValueError(f"has its {other if other in tensors else 'mid'} factor but not its {role} factor")
    down, up = tensors["down"], tensors["up"]
    rank = down.shape[0] if down.ndim else 0
    if "mid" not in tensors:
        return Pair(down, up, rank)
    return Pair(_tucker(tensors["mid"], down.flatten(1)), up, rank)


def _tucker(core: Tensor, inner: Tensor) -> Tensor:
    """`A'[m, i, h, w] = sum_n core[m, n, h, w] inner[n, i]`."""
    if core.ndim < 3 or inner.ndim != 2 or core.shape[1] != inner.shape[0]:
        raise ValueError(f"has a core of shape {list(core.shape)} that does not fit its factor of shape {list(inner.shape)}")
    return torch.einsum("mn...,ni->mi...", core, inner).contiguous()


def _loha(tensors: Mapping[Role, Tensor]) -> Pair:
    """`(B1 A1) * (B2 A2)`, elementwise: row-wise Khatri-Rao products of the two pairs, of rank r1 r2."""
    b1, a1, b2, a2 = _all_of(tensors, "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    rank = a1.shape[0]
    if ("hada_t1" in tensors) != ("hada_t2" in tensors):
        raise ValueError("has only one of hada_t1 and hada_t2")
    if "hada_t1" in tensors:
        # LyCORIS' Tucker form has the outer factors as `[rank, d_out]`, and its core's first index is theirs.
        b1, b2 = b1.T, b2.T
        a1, a2 = _tucker(tensors["hada_t1"], a1), _tucker(tensors["hada_t2"], a2)
    if a1.shape[1:] != a2.shape[1:] or b1.shape[0] != b2.shape[0] or b1.shape[1] != a1.shape[0] or b2.shape[1] != a2.shape[0]:
        raise ValueError(f"has factors of shapes {[list(t.shape) for t in (b1, a1, b2, a2)]}, which make no LoHa")
    up = torch.einsum("or,os->ors", b1, b2).flatten(1)
    down = torch.einsum("r...,s...->rs...", a1, a2).flatten(0, 1)
    if down.shape[0] > min(up.shape[0], math.prod(down.shape[1:])):
        half1, half2 = (b @ a.flatten(1) for b, a in ((b1, a1), (b2, a2)))
        return _whole((half1 * half2).reshape(b1.shape[0], *a1.shape[1:]), rank)
    return Pair(down, _as_kernel(up, down), rank)


def _lokr(tensors: Mapping[Role, Tensor]) -> Pair:
    """`kron(W1, W2)` with `W1 = L1 R1` and `W2 = L2 R2` is `kron(L1, L2) kron(R1, R2)`, of rank r1 r2."""
    left1, right1, rank1 = _half(tensors, "lokr_w1", "lokr_w1_a", "lokr_w1_b", None)
    left2, right2, rank2 = _half(tensors, "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
    if right1.ndim != 2:
        raise ValueError(f"has a first LoKr factor of shape {list(right1.shape)}, which is no matrix")
    up = torch.kron(left1, left2)
    kernel = right2.shape[2:]
    down = torch.kron(right1.reshape(*right1.shape, *(1 for _ in kernel)), right2)
    return Pair(down, _as_kernel(up, down), rank2 or rank1)


def _half(
    tensors: Mapping[Role, Tensor], whole: Role, left: Role, right: Role, core: Role | None
) -> tuple[Tensor, Tensor, int | None]:
    """`[m, k]` and `[k, n, *kernel]` with `k` as small as shapes allow, and the rank that the file gives this half."""
    if whole in tensors:
        return *_thin(tensors[whole]), None
    first, second = _all_of(tensors, left, right)
    rank = second.shape[0]
    if core is not None and core in tensors:
        first, second = first.T.contiguous(), _tucker(tensors[core], second)
    if first.ndim != 2 or first.shape[1] != second.shape[0]:
        raise ValueError(f"has LoKr factors of shape {list(first.shape)} and {list(second.shape)}, of different rank")
    if rank > min(first.shape[0], math.prod(second.shape[1:])):
        return *_thin((first @ second.flatten(1)).reshape(first.shape[0], *second.shape[1:])), rank
    return first, second, rank


def _thin(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix or kernel times the identity, on its shorter side."""
    if weight.ndim < 2:
        raise ValueError(f"has a LoKr factor of shape {list(weight.shape)}, which is no matrix")
    if weight.ndim == 2 and weight.shape[1] < weight.shape[0]:
        return weight, torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    return torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device), weight


def _whole(weight: Tensor, rank: int) -> Pair:
    left, right = _thin(weight)
    return Pair(right, _as_kernel(left, right), rank)


def _as_kernel(up: Tensor, down: Tensor) -> Tensor:
    return up.reshape(*up.shape, *(1 for _ in down.shape[2:]))


def _all_of(tensors: Mapping[Role, Tensor], *roles: Role) -> list[Tensor]:
    if missing := [role for role in roles if role not in tensors]:
        raise ValueError(f"has no {missing[0]}")
    if flat := [role for role in roles if tensors[role].ndim < 2]:
        raise ValueError(f"has a {flat[0]} of shape {list(tensors[flat[0]].shape)}, which is no matrix")
    return [tensors[role] for role in roles]


_KINDS: Mapping[str, Callable[[Mapping[Role, Tensor]], Pair]] = {"hada_": _loha, "lokr_": _lokr}
