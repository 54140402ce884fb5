"""One function over many things, in worker processes, with the results in order as they come."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

__all__ = ["each", "one_thread"]

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4
"""Things a worker that are handed out before they are due."""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """Have the mathematics libraries use one thread, if they are not loaded yet: more of them slow small matrices down."""
    for variable in _THREADS:
        os.environ.setdefault(variable, "1")


def each(
    function: Callable[[T], R], things: Iterable[T], *, workers: int = 1, broken: Callable[[T], R]
) -> Iterator[tuple[T, R]]:
    """Every thing with what the function makes of it, in the order of the things.

    With one worker there is no other process. A thing whose work ends its process (killed for its memory, say) gives `broken(thing)`,
    and the others go on. What the function raises is raised here.
    """
    if workers == 1:
        for thing in things:
            yield thing, function(thing)
        return
    left = iter(things)
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = _pool(workers, function)
    try:
        while True:
            waiting.extend((thing, pool.submit(function, thing)) for thing in islice(left, workers * _AHEAD - len(waiting)))
            if not waiting:
                return
            thing, future = waiting.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                again = [thing, *(thing for thing, _ in waiting)]
                waiting.clear()
                pool.shutdown()
                for suspect in again:
                    yield suspect, _alone(function, suspect, broken)
                pool = _pool(workers, function)
                continue
            yield thing, result
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[T], R], thing: T, broken: Callable[[T], R]) -> R:
    with _pool(1, function) as pool:
        try:
            return pool.submit(function, thing).result()
        except BrokenProcessPool:
            return broken(thing)


def _pool(workers: int, function: Callable[[T], R]) -> ProcessPoolExecutor:
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload([function.__module__])
    return ProcessPoolExecutor(workers, mp_context=context)
