"""Worker processes of this machine that build shards. A Ray task does the same as a worker.

Each shard is built on one thread, so there are as many workers as a CPU has cores. Two of them are faster than one on two
threads (benchmarks/zoo.py).
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase, load_base
from loraleak.defences import training_time
from loraleak.zoo.build import Outcome, ShardBuilder, build_shard
from loraleak.zoo.capacity import adapters_together
from loraleak.zoo.places import open_place
from loraleak.zoo.plan import PlannedShard
from loraleak.zoo.ranges import RecipeRanges

__all__ = ["Site", "build_one", "local_workers", "measure_together"]

_TRIES = 3


@dataclass(frozen=True)
class Site:
    """Everything that a worker needs to know besides its shard. Every worker must see the paths."""

    people: Path
    folder: str
    base: BaseSettings
    defence: str = ""
    """Training-time defence by name, with settings; empty for none."""


def build_one(site: Site, shard: PlannedShard) -> Outcome:
    """Build one shard in this process, which loads the base once."""
    try:
        build_shard(shard, site.people, open_place(site.folder), _base(site.base), training_time(site.defence))
    except Exception as error:  # noqa: BLE001 - no fault of one shard may stop the others
        return Outcome(shard.name, f"its shard was not made ({type(error).__name__}: {error})")
    return Outcome(shard.name)


def measure_together(site: Site, ranges: RecipeRanges) -> int:
    """Number of adapters to train in one batch, measured in this process."""
    return adapters_together(_base(site.base), ranges, training_time(site.defence))


def local_workers(site: Site, count: int) -> ShardBuilder:
    """Builder with `count` processes. Each takes the next shard when it is free. A dead worker and its shard are replaced."""

    def build(shards: Sequence[PlannedShard]) -> Iterator[Outcome]:
        waiting = {shard.name: shard for shard in shards}
        for _ in range(_TRIES):
            for outcome in _pooled(site, list(waiting.values()), count):
                del waiting[outcome.shard]
                yield outcome
            if not waiting:
                return
        for name in waiting:
            yield Outcome(name, f"workers died {_TRIES} times, for want of memory perhaps: give fewer --workers")

    return build


def _pooled(site: Site, shards: Sequence[PlannedShard], count: int) -> Iterator[Outcome]:
    """Outcomes until all shards are done or a worker dies."""
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(count, len(shards)), context, _begin, (stop, os.getpid()))
    try:
        futures: list[Future[Outcome]] = [pool.submit(build_one, site, shard) for shard in shards]
        for future in as_completed(futures):
            if not isinstance(future.exception(), BrokenProcessPool):
                yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _begin(stop: Event, parent: int) -> None:
    """Prepare a new worker: it leaves Ctrl-C to the parent, and ends when the parent says so or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while not stop.wait(1):
            if os.getppid() != parent:
                break
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


@cache
def _base(settings: BaseSettings) -> DiffusersBase:
    return load_base(**settings.choices)
