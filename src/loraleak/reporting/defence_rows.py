"""The study of defences as rows of a page: places in percent of a bar's width, words for the numbers, pictures before and after."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from loraleak.reporting.results import DefenceResult, DefenceStudy, Side
from loraleak.reporting.words import in_brackets, percent, trial_in_words
from loraleak.types import Picture

__all__ = ["Bar", "DefenceGroup", "DefenceRow", "Strip", "groups_of_study", "strips_of_study"]

_LEFT, _RIGHT = 2.0, 98.0
_STEP = 0.2


@dataclass(frozen=True)
class Bar:
    """One side of a row, leak or use. Places are percent of the bar's width."""

    arm: str
    mean: float
    low: float
    high: float
    zero: float
    before: float
    """Place of the undefended adapter's mean."""
    value: str
    kept: str
    """Share that is left, such as `93%`, or that no difference was shown; empty for the undefended adapter."""


@dataclass(frozen=True)
class DefenceRow:
    """One setting of a defence."""

    settings: str
    defence: str
    recommended: bool
    leak: Bar
    use: Bar | None


@dataclass(frozen=True)
class DefenceGroup:
    """All settings of one defence."""

    name: str
    says: str
    trial: str
    """The trial against an adaptive attack, in words; empty for the undefended adapter."""
    rows: tuple[DefenceRow, ...]


@dataclass(frozen=True)
class Strip:
    """Pictures of one arm, before or after a defence."""

    role: str
    title: str
    when: str
    pictures: tuple[str, ...]


def groups_of_study(study: DefenceStudy) -> tuple[DefenceGroup, ...]:
    """Rows for the undefended adapter, then for every defence in the order of the study. All bars have one scale."""
    results = (study.undefended, *study.tried)
    sides = [side for result in results for side in (result.leak, result.use) if side is not None]
    low = _STEP * math.floor(min(0.0, *(side.excess.low for side in sides)) / _STEP)
    high = _STEP * math.ceil(max(_STEP, *(side.excess.high for side in sides)) / _STEP)

    def place(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT), 2)

    def bar(side: Side | None, before: Side | None, kept: float | None) -> Bar | None:
        if side is None or before is None:
            return None
        return Bar(
            arm=side.arm,
            mean=place(side.excess.mean),
            low=place(side.excess.low),
            high=place(side.excess.high),
            zero=place(0.0),
            before=place(before.excess.mean),
            value=in_brackets(side.excess),
            kept="" if side is before else _kept(side, kept),
        )

    def row(i: int, result: DefenceResult) -> DefenceRow:
        leak = bar(result.leak, study.undefended.leak, result.leak_kept)
        assert leak is not None
        use = bar(result.use, study.undefended.use, result.use_kept)
        return DefenceRow(_settings(result), result.defence, i == study.recommended, leak, use)

    numbered = groupby(
        enumerate(results, start=-1), key=lambda item: (item[1].name, item[1].says, trial_in_words(item[1].trial))
    )
    return tuple(DefenceGroup(*about, tuple(row(*item) for item in items)) for about, items in numbered)


def strips_of_study(study: DefenceStudy, uri: Callable[[Picture], str]) -> tuple[Strip, ...]:
    """Pictures before and after the recommended setting, or the one that leaves the least leak where none is recommended."""
    if not study.tried:
        return ()
    least = min(range(len(study.tried)), key=lambda i: study.tried[i].leak.excess.mean)
    after = study.tried[least if study.recommended is None else study.recommended]
    strips = []
    for role, title, sides in (
        ("attack", "A stranger", (study.undefended.leak, after.leak)),
        ("ceiling", "You", (study.undefended.use, after.use)),
    ):
        for side, when in zip(sides, ("as it is", after.defence), strict=True):
            if side is not None:
                strips.append(Strip(role, f"{title}, with {side.arm}", when, tuple(uri(picture) for picture in side.images)))
    return tuple(strips)


def _kept(side: Side, kept: float | None) -> str:
    return "no difference shown" if side.change.low <= 0 <= side.change.high else f"{percent(kept)} stays"


def _settings(result: DefenceResult) -> str:
    """Settings without the seed, such as `rank 2`. A chain is written as it is spelled."""
    if not result.defence.startswith(f"{result.name}:"):
        return "" if result.defence in ("", result.name) else result.defence
    parts = result.defence.partition(":")[2].split(",")
    return ", ".join(part.replace("=", " ", 1) for part in parts if not part.startswith("seed="))
