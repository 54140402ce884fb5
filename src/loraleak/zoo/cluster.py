"""Shards as tasks of a Ray cluster. Ray places them, retries those whose worker dies, and adds workers as they join."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

from loraleak.errors import MissingExtraError, UsageError
from loraleak.zoo.build import Outcome, ShardBuilder
from loraleak.zoo.plan import PlannedShard
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.workers import Site, build_one, measure_together

__all__ = ["ray_tasks", "ray_together"]

_RETRIES = 5


def ray_tasks(site: Site, address: str) -> ShardBuilder:
    """Builder of one task a shard, with one GPU or else one CPU, on the cluster at `address` (`local` starts one here).

    Raises: MissingExtraError, if Ray is not installed; UsageError, if there is no cluster at the address.
    """

    def build(shards: Sequence[PlannedShard]) -> Iterator[Outcome]:
        with _cluster(address, site) as (ray, resources, work):
            task = ray.remote(build_one).options(**resources, max_retries=_RETRIES)
            waiting = {task.remote(work, shard): shard for shard in shards}
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                yield _outcome(ray, done, waiting.pop(done))

    return build


def ray_together(site: Site, address: str, ranges: RecipeRanges) -> int:
    """Number of adapters to train in one batch, as measured by one of the cluster's workers."""
    with _cluster(address, site) as (ray, resources, work):
        return int(ray.get(ray.remote(measure_together).options(**resources).remote(work, ranges)))


@contextmanager
def _cluster(address: str, site: Site) -> Iterator[tuple[Any, dict[str, int], Site]]:
    """Context with Ray, the resources of one of our tasks, and the site as a worker sees it."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("Ray is not installed: run pip install 'loraleak[ray]'") from error
    with redirect_stdout(sys.stderr):  # Ray reports dead workers on stdout, where our results go
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError) as error:
            raise UsageError(f"no Ray cluster at {address!r} ({error}): run `ray start --head` there, or give local") from error
        try:
            gpu = site.base.device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) >= 1
            yield (
                ray,
                {"num_cpus": 1, "num_gpus": int(gpu)},
                replace(site, base=replace(site.base, device="cuda" if gpu else "cpu")),
            )
        finally:
            ray.shutdown()


def _outcome(ray: Any, done: Any, shard: PlannedShard) -> Outcome:
    try:
        outcome: Outcome = ray.get(done)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        return Outcome(shard.name, f"its shard was not made ({reason})")
    return outcome
