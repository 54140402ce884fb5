"""Adapters side by side."""

import pytest
import torch

from loraleak.errors import BaseMismatchError
from loraleak.inversion.weights import stack_adapters
from loraleak.types import Adapter, Factors
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
