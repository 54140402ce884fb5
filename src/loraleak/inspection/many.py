"""Inspections of many files, in worker processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loraleak.bulk import each
from loraleak.errors import AdapterError
from loraleak.inspection.cache import inspect_cached
from loraleak.inspection.inspect import Inspection, inspect_adapter
from loraleak.untrusted import printable

__all__ = ["Unusable", "inspect_many"]


@dataclass(frozen=True)
class Unusable:
    """A file that cannot be inspected."""

    path: Path
    says: str
    """One line that says what is wrong, and how to mend it."""


@dataclass(frozen=True)
class _Task:
    path: Path
    cache: Path | None
    start: bool


def inspect_many(
    paths: Iterable[Path], *, workers: int = 1, cache: Path | None = None, start: bool = False
) -> Iterator[tuple[Path, Inspection | Unusable]]:
    """Every file with its inspection, in order, as they come. A file that cannot be used does not stop the others.

    Raises: OSError, if the cache cannot be written.
    """
    tasks = (_Task(path, cache, start) for path in paths)
    for task, result in each(_inspected, tasks, workers=workers, broken=_ended):
        yield task.path, result


def _inspected(task: _Task) -> Inspection | Unusable:
    try:
        if task.start:
            return inspect_adapter(task.path, start=True)
        return inspect_cached(task.path, task.cache)
    except AdapterError as fault:
        return Unusable(task.path, str(fault))


def _ended(task: _Task) -> Inspection | Unusable:
    name = printable(str(task.path), 400)
    return Unusable(task.path, f"cannot use {name}: reading it ended the process, maybe for its memory: give a smaller file")
