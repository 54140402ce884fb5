"""Exact reductions, in float64, against the dense formulas and against LyCORIS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lycoris import functional
from torch import Tensor

from loraleak.adapters.reduce import halves_of, pair_of_halves
from loraleak.adapters.shapes import TensorRole, pair_shapes

Draw = Callable[..., Tensor]


@pytest.fixture
def draw() -> Draw:
    generator = torch.Generator().manual_seed(3)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Pair:
    """An update, as the reduction to a pair gives it."""

    down: Tensor
    up: Tensor
    rank: int | None
    halves: tuple[tuple[Tensor, ...], ...]


def reduce_to_pair(tensors: Mapping[TensorRole, Tensor]) -> Pair:
    shapes = pair_shapes({role: tuple(tensor.shape) for role, tensor in tensors.items()})
    halves = halves_of({role: tensor.numpy() for role, tensor in tensors.items()})
    up, down = (torch.from_numpy(matrix.copy()) for matrix in pair_of_halves(halves))
    if "down" not in tensors:
        assert (tuple(up.shape), tuple(down.shape)) == (shapes.up, shapes.down)
    return Pair(down, up, shapes.rank, tuple(tuple(torch.from_numpy(m.copy()) for m in half) for half in halves))


def _product(pair: Pair) -> Tensor:
    return (pair.up.flatten(1) @ pair.down.flatten(1)).reshape(-1, *pair.down.shape[1:])


def _same(pair: Pair, expected: Tensor) -> None:
    got = _product(pair)
    assert (got.reshape(expected.shape) - expected).abs().max() <= 1e-13 * expected.abs().max()


def test_tucker_locon(draw: Draw) -> None:
    down, up, mid = draw(4, 10, 1, 1), draw(12, 3, 1, 1), draw(3, 4, 3, 3)
    pair = reduce_to_pair({"down": down, "up": up, "mid": mid})
    assert (pair.down.shape, pair.rank) == ((3, 10, 3, 3), 4)
    _same(pair, functional.locon.diff_weight(down, up, mid))
    _same(pair, torch.einsum("om,mnhw,ni->oihw", up[..., 0, 0], mid, down[..., 0, 0]))


@pytest.mark.parametrize(("rank", "becomes"), [(2, 4), (5, 10)])
def test_loha_has_the_square_of_its_rank_or_all_rows(draw: Draw, rank: int, becomes: int) -> None:
    b1, a1, b2, a2 = draw(12, rank), draw(rank, 10), draw(12, rank), draw(rank, 10)
    pair = reduce_to_pair({"hada_w1_a": b1, "hada_w1_b": a1, "hada_w2_a": b2, "hada_w2_b": a2})
    assert (pair.down.shape[0], pair.rank) == (becomes, rank)
    _same(pair, (b1 @ a1) * (b2 @ a2))
    _same(pair, functional.loha.diff_weight(a1, b1, a2, b2, None, None))


def test_tucker_loha(draw: Draw) -> None:
    b1, a1, t1, b2, a2, t2 = (draw(3, 12), draw(3, 10), draw(3, 3, 3, 3), draw(3, 12), draw(3, 10), draw(3, 3, 3, 3))
    tensors: dict[TensorRole, Tensor] = {"hada_w1_a": b1, "hada_w1_b": a1, "hada_t1": t1}
    tensors |= {"hada_w2_a": b2, "hada_w2_b": a2, "hada_t2": t2}
    pair = reduce_to_pair(tensors)
    assert pair.down.shape == (9, 10, 3, 3)
    _same(pair, functional.loha.diff_weight(a1, b1, a2, b2, t1, t2))


def _w(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.flatten(1)).reshape(-1, *second.shape[1:])


@pytest.mark.parametrize("kernel", [(), (3, 3)])
@pytest.mark.parametrize("halves", ["whole-whole", "whole-split", "split-whole", "split-split", "wide-split"])
def test_lokr(draw: Draw, halves: str, kernel: tuple[int, ...]) -> None:
    tensors: dict[str, Tensor] = {}
    first, second = halves.split("-")
    r1 = 9 if first == "wide" else 2
    tensors |= {"lokr_w1": draw(4, 6)} if first == "whole" else {"lokr_w1_a": draw(4, r1), "lokr_w1_b": draw(r1, 6)}
    tensors |= (
        {"lokr_w2": draw(8, 5, *kernel)} if second == "whole" else {"lokr_w2_a": draw(8, 2), "lokr_w2_b": draw(2, 5, *kernel)}
    )
    pair = reduce_to_pair(tensors)  # type: ignore[arg-type]
    weights: list[Any] = [tensors.get(f"lokr_{name}") for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")]
    w1 = tensors.get("lokr_w1", None)
    w1 = _w(tensors["lokr_w1_a"], tensors["lokr_w1_b"]) if w1 is None else w1
    w2 = tensors.get("lokr_w2", None)
    w2 = _w(tensors["lokr_w2_a"], tensors["lokr_w2_b"]) if w2 is None else w2
    expected = torch.kron(w1.reshape(*w1.shape, *(1 for _ in kernel)), w2)
    _same(pair, expected)
    _same(pair, functional.lokr.kron_weight(*weights, scale=1.0))
    one, other = (half[0] if len(half) == 1 else _w(*half) for half in pair.halves)
    torch.testing.assert_close(torch.kron(one.reshape(w1.shape + (1,) * len(kernel)), other), expected)
    assert pair.rank == (None if halves == "whole-whole" else 2 if second == "split" else r1)


def test_tucker_lokr(draw: Draw) -> None:
    w1, a, b, t = draw(4, 6), draw(3, 8), draw(3, 5), draw(3, 3, 3, 3)
    pair = reduce_to_pair({"lokr_w1": w1, "lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": t})
    _same(pair, functional.lokr.kron_weight(w1, None, None, None, a, b, t, scale=1.0))


@pytest.mark.parametrize(
    ("shapes", "fault"),
    [
        ({"mid": (2, 2, 3, 3)}, "has its mid factor but not its down factor"),
        ({"down": (2, 4), "up": (5, 2), "mid": (2, 3, 3, 3)}, r"a core of shape \[2, 3, 3, 3\] that does not fit"),
        ({"down": (2, 4), "up": (5, 2), "hada_w1_a": (5, 2)}, "two kinds of update"),
        ({"hada_w1_a": (5, 2), "hada_w1_b": (2, 4), "hada_w2_a": (5, 2)}, "has no hada_w2_b"),
        ({"hada_w1_a": (5,), "hada_w1_b": (2, 4), "hada_w2_a": (5, 2), "hada_w2_b": (2, 4)}, "which is no matrix"),
        ({"hada_w1_a": (5, 2), "hada_w1_b": (2, 4), "hada_w2_a": (6, 2), "hada_w2_b": (2, 4)}, "which make no LoHa"),
        ({"hada_w1_a": (5, 2), "hada_w1_b": (2, 4), "hada_t1": (2, 2, 1)}, "has no hada_w2_a"),
        ({"lokr_w1": (2, 2)}, "has no lokr_w2_a"),
        ({"lokr_w1": (2, 2), "lokr_w2": (4,)}, "which is no matrix"),
        ({"lokr_w1": (2, 2, 3), "lokr_w2": (4, 4)}, "which is no matrix"),
        ({"lokr_w1": (2, 2), "lokr_w2_a": (4, 3), "lokr_w2_b": (2, 4)}, "of different rank"),
    ],
)
def test_tensors_that_make_no_layer_are_named(shapes: dict[TensorRole, tuple[int, ...]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        reduce_to_pair({role: torch.ones(shape) for role, shape in shapes.items()})
