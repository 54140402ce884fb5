"""Checks of settings, made when they are read: finite, within bounds, without conflicts, and all faults told at once."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from loraleak.errors import UsageError

__all__ = ["ABOVE_0", "SEEDS", "all_at_once", "out_of_bounds", "refuse"]

ABOVE_0 = math.ulp(0.0)
"""Lower bound of numbers that must be above 0."""

SEEDS = (0, 2**63 - 1)
"""Bounds of seeds that every generator takes."""

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def out_of_bounds(settings: object, bounds: Mapping[str, tuple[float | int, float | int]]) -> list[str]:
    """Faults of the settings, by name, that are no finite numbers or leave their bounds. Tuples are checked value by value."""
    faults = []
    for name, (low, high) in bounds.items():
        given: Any = getattr(settings, name)
        for value in given if isinstance(given, tuple) else (given,):
            if value is None or (math.isfinite(value) and low <= value <= high):
                continue
            if not math.isfinite(value):
                wanted = "give a number"
            elif value < low:
                wanted = "it must be above 0" if low == ABOVE_0 else f"give at least {low}"
            else:
                wanted = f"give at most {high}"
            faults.append(f"{name} is {value}, {wanted}")
    return faults


def refuse(*faults: str) -> None:
    """Raise a UsageError of these faults, if there are any; within `all_at_once`, keep them for its end."""
    told = _collected.get()
    if told is not None:
        told += faults
    elif faults:
        raise UsageError(*faults)


@contextmanager
def all_at_once() -> Iterator[None]:
    """Context that makes several settings and raises one UsageError of all their faults at the end."""
    told: list[str] = []
    token = _collected.set(told)
    try:
        yield
    finally:
        _collected.reset(token)
    refuse(*dict.fromkeys(told))
