"""Progress on stderr, with time left. It never goes to stdout."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["announce", "console", "progress_bar", "track"]

T = TypeVar("T")

console = Console(stderr=True)


def announce(text: str) -> None:
    """Print one line about the run that starts."""
    console.print(f"loraleak: {text}", markup=False, highlight=False, soft_wrap=True)


def progress_bar(*, hidden: bool = False) -> Progress:
    """A bar with count, time gone, time left, and the newest figures of the job."""
    return Progress(
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
