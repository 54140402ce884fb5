"""Progress on stderr, with time left. It never goes to stdout."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Listener", "PipeConsole", "announce", "console", "heard_by", "progress_bar", "track"]

T = TypeVar("T")

Listener: TypeAlias = Callable[[str, float | None], object]
"""Gets each line about a run, and the share of its stage that is done; None where nobody knows the share."""

LINE_EVERY = 30.0
"""Seconds between two lines where stderr is no terminal."""


class PipeConsole(Console):
    """A console that leaves a closed pipe to the command line, which ends as other tools do."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = PipeConsole(stderr=True)

_listeners: list[Listener] = []


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Context in which a listener hears of all progress of this process, in the place of stderr."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(text: str) -> None:
    """Print one line about the run that starts."""
    for listener in _listeners:
        listener(text, None)
    if _listeners:
        return
    console.print(f"loraleak: {text}", markup=False, highlight=False, soft_wrap=True)


class _Lines(Progress):
    """Progress as a line now and then, for logs and other places that are no terminal."""

    _told: float = 0.0

    def start(self) -> None:
        self._told = time.monotonic()

    def stop(self) -> None:
        for task in () if self.disable else self.tasks:
            announce(f"{_counted(task)} in {timedelta(seconds=round(task.elapsed or 0))}")

    def update(self, task_id: TaskID, *arguments: Any, **changes: Any) -> None:
        super().update(task_id, *arguments, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        if self.disable or time.monotonic() - self._told < LINE_EVERY:
            return
        self._told = time.monotonic()
        announce(_line(self._tasks[task_id]))


class _Heard(_Lines):
    """Progress for listeners, at every change."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def _tell(self, task_id: TaskID) -> None:
        task = self._tasks[task_id]
        if not self.disable:
            for listener in _listeners:
                listener(_line(task), task.completed / task.total if task.total else None)


def _line(task: Task) -> str:
    left = "" if task.time_remaining is None else f", about {timedelta(seconds=round(task.time_remaining))} left"
    figures = f", {task.fields['figures']}" if task.fields["figures"] else ""
    return f"{_counted(task)}{left}{figures}"


def _counted(task: Task) -> str:
    total = "" if task.total is None else f" of {task.total:.0f}"
    return f"{task.description}: {task.completed:.0f}{total}"


def progress_bar(*, hidden: bool = False) -> Progress:
    """A bar with count, time gone, time left, and the newest figures of the job; without a terminal, a line each half minute."""
    kind = _Heard if _listeners else Progress if console.is_terminal else _Lines
    return kind(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        refresh_per_second=2,
        disable=hidden,
    )


def track(items: Iterable[T], description: str, total: int | None = None, *, hidden: bool = False) -> Iterator[T]:
    """Iterate with a progress bar."""
    with progress_bar(hidden=hidden) as bar:
        task = bar.add_task(description, total=total, figures="")
        for item in items:
            yield item
            bar.advance(task)
