"""The number of adapters that fit is the closed form of a line."""

import pytest

from loraleak.bases import DiffusersBase
from loraleak.zoo.capacity import ON_CPU, adapters_together, as_many_as_fit
from loraleak.zoo.ranges import RecipeRanges


@pytest.mark.parametrize(
    ("fixed", "each", "budget", "most"),
    [(100, 10, 200, 10), (100, 10, 209, 10), (0, 1, 10**6, 128), (100, 50, 120, 1), (0, 7, 700, 100)],
)
def test_as_many_as_the_budget_holds(fixed: int, each: int, budget: int, most: int) -> None:
    asked: list[int] = []

    def peak(count: int) -> int:
        asked.append(count)
        return fixed + each * count

    assert as_many_as_fit(peak, float(budget)) == most
    assert asked == [1, 2]


def test_a_cpu_is_not_measured(base: DiffusersBase) -> None:
    assert adapters_together(base, RecipeRanges()) == ON_CPU
