"""Adapters side by side."""

from dataclasses import replace

import pytest
import torch

from loraleak.errors import BaseMismatchError
from loraleak.inversion.weights import shown, since_start, stack_adapters
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


def test_the_basis_of_the_start_is_the_same_for_everybody(shapes: dict[str, torch.Size]) -> None:
    """B of one gradient differs from start to start; times the start, it is that gradient on average over starts."""
    torch.manual_seed(0)
    name, count = next(iter(shapes)), 400
    (width,) = shapes[name][1:]
    gradient = torch.randn(shapes[name][0], width)
    blank = StackedFactors(
        {name: torch.zeros(count, 4, width)},
        {name: torch.zeros(count, len(gradient), 4)},
        torch.ones(count),
        torch.full((count,), 4),
    )
    starts = -since_start(blank, range(count)).down[name]
    trained = replace(blank, down={name: starts}, up={name: gradient @ starts.transpose(1, 2)})
    plain, seen = (shown(trained, knowledge, range(count), directions=width) for knowledge in ("start", "start-basis"))
    assert not plain.down[name].any() and not seen.down[name].any()
    size = starts.square().sum(1).mean()  # of A_0^T A_0 on its diagonal
    directions = torch.linalg.lstsq(gradient, seen.up[name].mean(0) / size).solution
    torch.testing.assert_close(directions.T @ directions, torch.eye(width), atol=0.25, rtol=0)
    likeness = [torch.nn.functional.normalize(w.up[name].flatten(1)) for w in (plain, seen)]
    apart, alike = ((flat @ flat.T).triu(1).sum() / (count * (count - 1) / 2) for flat in likeness)
    assert abs(apart) < 0.02 < 0.3 < alike
    assert torch.equal(shown(trained, "file", (), directions=2).up[name], trained.up[name])
