"""Arms with intervals, as SVG that takes its colours from the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from loraleak.audit.report import ArmResult

__all__ = ["Axis", "Row", "axis_of", "rows_of"]

_ROW = 34
_LEFT, _RIGHT, _TOP = 120, 12, 12
_WIDTH = 480


@dataclass(frozen=True)
class Row:
    """One arm's line: places in pixels."""

    name: str
    role: str
    y: float
    mean: float
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Axis:
    """The frame of the plot, in pixels, and its ticks as (place, label)."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    ticks: tuple[tuple[float, str], ...]


def axis_of(arms: Sequence[ArmResult]) -> Axis:
    """Ticks every 0.2 of cosine over a range that holds every interval."""
    low, high = _range(arms)
    count = round((high - low) / 0.2)
    ticks = tuple((_place(low + 0.2 * i, low, high), f"{low + 0.2 * i:.1f}".replace("-0.0", "0.0")) for i in range(count + 1))
    bottom = _TOP + _ROW * len(arms)
    return Axis(_WIDTH, bottom + 40, _LEFT, _WIDTH - _RIGHT, bottom, ticks)


def rows_of(arms: Sequence[ArmResult]) -> tuple[Row, ...]:
    """One row an arm, in the order given."""
    low, high = _range(arms)
    return tuple(
        Row(
            name=arm.name,
            role=arm.role,
            y=_TOP + _ROW * (i + 0.5),
            mean=_place(arm.similarity.mean, low, high),
            low=_place(arm.similarity.low, low, high),
            high=_place(arm.similarity.high, low, high),
            label=f"{arm.similarity.mean:.2f}",
        )
        for i, arm in enumerate(arms)
    )


def _range(arms: Sequence[ArmResult]) -> tuple[float, float]:
    lowest = min([0.0, *(arm.similarity.low for arm in arms)])
    low = -0.2 * -(-max(0.0, -lowest) // 0.2)
    return low, 1.0


def _place(value: float, low: float, high: float) -> float:
    return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)
