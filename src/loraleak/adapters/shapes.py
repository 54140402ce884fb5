"""The shapes of the pair that a module's tensors make: what a hostile file would blow up to, before a number of it is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["PairShapes", "TensorRole", "pair_shapes"]

TensorRole = Literal[
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

Shape = tuple[int, ...]

_KERNELS = (2, 3, 4, 5)


@dataclass(frozen=True)
class PairShapes:
    """What a module comes to."""

    down: Shape
    """`[rank, d_in]`, or `[rank, c_in, *kernel]`."""
    up: Shape
    """`[d_out, rank]`, or `[c_out, rank, *ones]`."""
    rank: int | None
    """That alpha is divided by: the file's own, which LoHa and LoKr exceed here; None where both halves of LoKr are whole."""
    size: int
    """Numbers in the halves, which a pair of LoKr exceeds by far."""


def pair_shapes(shapes: Mapping[TensorRole, Shape]) -> PairShapes:
    """The shapes of the pair that a module's tensors make.

    Raises: ValueError, with words that follow the module's name, if tensors are missing or have shapes that make no layer.
    """
    kinds = {prefix for prefix in ("hada_", "lokr_") if any(role.startswith(prefix) for role in shapes)}
    if shapes.keys() & {"down", "up", "mid"}:
        kinds.add("lora")
    if len(kinds) != 1:
        raise ValueError(f"holds {'two kinds of update' if kinds else 'no update'}")
    (kind,) = kinds
    found = {"lora": _lora_shapes, "hada_": _loha_shapes, "lokr_": _lokr_shapes}[kind](shapes)
    down, up = found.down, found.up
    factors = f"has factors of shape {list(down)} and {list(up)}"
    if len(down) not in _KERNELS or len(up) != len(down) or any(side != 1 for side in up[2:]):
        raise ValueError(f"{factors}, which make no layer")
    if down[0] != up[1]:
        raise ValueError(f"{factors}, of different rank")
    return found


def _lora_shapes(shapes: Mapping[TensorRole, Shape]) -> PairShapes:
    for role, other in (("down", "up"), ("up", "down")):
        if role not in shapes:
            raise ValueError(f"has its {other if other in shapes else 'mid'} factor but not its {role} factor")
    down, up = shapes["down"], shapes["up"]
    rank = down[0] if down else 0
    if "mid" in shapes:
        down = _tucker_shape(shapes["mid"], (rank, math.prod(down[1:])))
    return PairShapes(down, up, rank, math.prod(down) + math.prod(up))


def _loha_shapes(shapes: Mapping[TensorRole, Shape]) -> PairShapes:
    b1, a1, b2, a2 = _all_of(shapes, "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    rank = a1[0]
    if ("hada_t1" in shapes) != ("hada_t2" in shapes):
        raise ValueError("has only one of hada_t1 and hada_t2")
    if "hada_t1" in shapes:
        b1, b2 = b1[::-1], b2[::-1]
        a1, a2 = _tucker_shape(shapes["hada_t1"], a1), _tucker_shape(shapes["hada_t2"], a2)
    fits = len(b1) == len(b2) == 2 and b1[0] == b2[0] and a1[1:] == a2[1:] and (b1[1], b2[1]) == (a1[0], a2[0])
    if not fits:
        raise ValueError(f"has factors of shapes {[list(shape) for shape in (b1, a1, b2, a2)]}, which make no LoHa")
    product = a1[0] * a2[0]
    if product > min(b1[0], math.prod(a1[1:])):
        left, right = _thin_shapes((b1[0], *a1[1:]))
    else:
        left, right = (b1[0], product), (product, *a1[1:])
    return PairShapes(right, _as_kernel(left, right), rank, math.prod(left) + math.prod(right))


def _lokr_shapes(shapes: Mapping[TensorRole, Shape]) -> PairShapes:
    left1, right1, rank1 = _half_shapes(shapes, "lokr_w1", "lokr_w1_a", "lokr_w1_b", None)
    left2, right2, rank2 = _half_shapes(shapes, "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
    if len(right1) != 2:
        raise ValueError(f"has a first LoKr factor of shape {list(right1)}, which is no matrix")
    left = (left1[0] * left2[0], left1[1] * left2[1])
    right = (right1[0] * right2[0], right1[1] * right2[1], *right2[2:])
    size = sum(math.prod(shape) for shape in (left1, right1, left2, right2))
    return PairShapes(right, _as_kernel(left, right), rank2 or rank1, size)


def _half_shapes(
    shapes: Mapping[TensorRole, Shape], whole: TensorRole, left: TensorRole, right: TensorRole, core: TensorRole | None
) -> tuple[Shape, Shape, int | None]:
    if whole in shapes:
        if len(shapes[whole]) < 2:
            raise ValueError(f"has a LoKr factor of shape {list(shapes[whole])}, which is no matrix")
        return *_thin_shapes(shapes[whole]), None
    first, second = _all_of(shapes, left, right)
    rank = second[0]
    if core is not None and core in shapes:
        first, second = first[::-1], _tucker_shape(shapes[core], second)
    if len(first) != 2 or first[1] != second[0]:
        raise ValueError(f"has LoKr factors of shape {list(first)} and {list(second)}, of different rank")
    if second[0] > min(first[0], math.prod(second[1:])):
        return *_thin_shapes((first[0], *second[1:])), rank
    return first, second, rank


def _tucker_shape(core: Shape, inner: Shape) -> Shape:
    if len(core) < 3 or len(inner) != 2 or core[1] != inner[0]:
        raise ValueError(f"has a core of shape {list(core)} that does not fit its factor of shape {list(inner)}")
    return (core[0], inner[1], *core[2:])


def _thin_shapes(weight: Shape) -> tuple[Shape, Shape]:
    rows, columns = weight[:2]
    return (weight, (columns, columns)) if len(weight) == 2 and columns < rows else ((rows, rows), weight)


def _as_kernel(up: Shape, down: Shape) -> Shape:
    return (*up, *(1 for _ in down[2:]))


def _all_of(shapes: Mapping[TensorRole, Shape], *roles: TensorRole) -> list[Shape]:
    if missing := [role for role in roles if role not in shapes]:
        raise ValueError(f"has no {missing[0]}")
    if flat := [role for role in roles if len(shapes[role]) < 2]:
        raise ValueError(f"has a {flat[0]} of shape {list(shapes[flat[0]])}, which is no matrix")
    return [shapes[role] for role in roles]
