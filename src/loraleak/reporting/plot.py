"""Arms with intervals, as SVG that takes its colours from the page.

Lengths along x are percent of the width and lengths along y are pixels, so that the text keeps its size on a narrow screen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loraleak.reporting.results import ArmResult
from loraleak.reporting.words import in_brackets
from loraleak.types import ArmRole

__all__ = ["Axis", "Row", "axis_of", "rows_of"]

_ROW, _TOP, _BELOW = 52, 8, 44
_LEFT, _RIGHT = 3.0, 97.0
_STEP = 0.2


@dataclass(frozen=True)
class Row:
    """One arm's line: `y` of its interval in pixels, the others in percent of the width."""

    name: str
    role: ArmRole
    y: int
    mean: float
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Axis:
    """The frame of the plot: heights in pixels, ticks as (percent of the width, label)."""

    height: int
    bottom: int
    ticks: tuple[tuple[float, str], ...]
    chance: float | None
    """Place of the floor's mean, in percent; None without a floor."""


def axis_of(arms: Sequence[ArmResult]) -> Axis:
    """A frame with ticks at every 0.2 of cosine, over a range that holds every interval."""
    left = _left_edge(arms)
    values = [_STEP * i for i in range(round(left / _STEP), round(1 / _STEP) + 1)]
    ticks = tuple((_place(value, left), f"{value:.1f}") for value in values)
    chance = next((_place(arm.similarity.mean, left) for arm in arms if arm.role == "floor"), None)
    bottom = _TOP + _ROW * len(arms)
    return Axis(bottom + _BELOW, bottom, ticks, chance)


def rows_of(arms: Sequence[ArmResult]) -> tuple[Row, ...]:
    """One row for each arm, in the order of the arms."""
    left = _left_edge(arms)
    return tuple(
        Row(
            name=arm.name,
            role=arm.role,
            y=_TOP + _ROW * i + 36,
            mean=_place(arm.similarity.mean, left),
            low=_place(arm.similarity.low, left),
            high=_place(arm.similarity.high, left),
            label=in_brackets(arm.similarity),
        )
        for i, arm in enumerate(arms)
    )


def _left_edge(arms: Sequence[ArmResult]) -> float:
    """Zero, or the tick below the lowest interval."""
    lowest = min([0.0, *(arm.similarity.low for arm in arms)])
    return _STEP * math.floor(lowest / _STEP)


def _place(value: float, left: float) -> float:
    return round(_LEFT + (value - left) / (1 - left) * (_RIGHT - _LEFT), 2)
