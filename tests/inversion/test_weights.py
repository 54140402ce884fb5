"""Adapters side by side."""

import pytest
import torch

from loraleak.errors import BaseMismatchError
from loraleak.inversion.weights import likeness_to_start, shown, stack_adapters, start_factors
from loraleak.types import Adapter, Factors, StackedFactors
from oracles.adapters import random_adapter


def test_updates_are_those_of_the_adapters(shapes: dict[str, torch.Size]) -> None:
    adapters = [random_adapter(shapes, 2, 0), random_adapter(shapes, 3, 1, scale=2.0)]
    stacked = stack_adapters(adapters, shapes)
    assert stacked.ranks.tolist() == [2, 3]
    for name in shapes:
        for k, adapter in enumerate(adapters):
            f = adapter.factors[name]
            torch.testing.assert_close(stacked.scales[k] * stacked.up[name][k] @ stacked.down[name][k], f.scale * f.up @ f.down)


def test_missing_modules_change_nothing_and_others_are_not_read(shapes: dict[str, torch.Size]) -> None:
    whole = random_adapter(shapes, 2, 0)
    first, *_, last = shapes
    part = Adapter({n: f for n, f in whole.factors.items() if n != last} | {"unet.other": whole.factors[first]}, "memory")
    stacked = stack_adapters([part], shapes)
    assert set(stacked.up) == set(shapes)
    assert not stacked.up[last].any() and stacked.up[first].any()


def test_adapters_that_cannot_be_read_are_refused(shapes: dict[str, torch.Size]) -> None:
    strange = Adapter({"unet.other": Factors(torch.ones(1, 4), torch.ones(4, 1), 1.0)}, "memory")
    with pytest.raises(BaseMismatchError, match="none of the 1 modules"):
        stack_adapters([strange], shapes)
    name = next(iter(shapes))
    wrong = Adapter({name: Factors(torch.ones(1, 5), torch.ones(7, 1), 1.0)}, "memory")
    with pytest.raises(BaseMismatchError, match=r"is \[7, 5\] in the adapter"):
        stack_adapters([wrong], shapes)


def test_the_start_is_told_apart_from_others(shapes: dict[str, torch.Size]) -> None:
    stacked = stack_adapters([random_adapter(shapes, 4, 0), random_adapter(shapes, 3, 1)], shapes)
    begun = StackedFactors(start_factors(stacked, [7, 8]), stacked.up, stacked.scales, stacked.ranks)
    torch.testing.assert_close(likeness_to_start(begun, [7, 8]), torch.ones(2))
    assert likeness_to_start(begun, [8, 7]).abs().max() < 0.1
    assert not any(value.any() for value in shown(begun, "start", [7, 8]).down.values())
    assert shown(begun, "file", ()) is begun
