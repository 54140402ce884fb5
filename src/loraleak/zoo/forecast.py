"""Forecast of the time and memory that a zoo takes on this machine."""

import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image

from loraleak.bases import DiffusersBase
from loraleak.bases.estimate import Estimate
from loraleak.finetuning.forecast import forecast_class_images, forecast_together
from loraleak.zoo.plan import PlannedShard, ZooPlan

__all__ = ["forecast_zoo"]


def forecast_zoo(plan: ZooPlan, people: Path, base: DiffusersBase, *, workers: int) -> Estimate:
    """Estimate of all shards, with their photos, and with the class images where they are still to be made.

    The memory is that of the shard with the most numbers, in every worker. Workers on a CPU share the weights' files. Several
    workers are processes beside this one; one is this process itself.
    """
    widest = max(plan.shards, key=_numbers)
    shard = forecast_together(base, [plan.defence.defended(planned.recipe) for planned in widest.adapters])
    passes = [_passes(planned) for planned in plan.shards]
    photos = max(_photos(shard, people) for shard in plan.shards) if base.device.type == "cpu" else 0
    seconds = shard.seconds * sum(passes) / _passes(widest) / workers
    training = replace(shard, seconds=seconds, program=shard.program + photos)
    if workers > 1:
        training = replace(
            training,
            weights=training.weights * (1 if base.device.type == "cpu" else workers + 1),
            working=training.working * workers,
            program=training.program * (workers + 1),
        )
    sampling = forecast_class_images(base, plan.ranges.class_images) if plan.ranges.prior_batch else None
    return training if sampling is None else sampling.then(training)


def _photos(shard: PlannedShard, people: Path) -> int:
    """Bytes of a shard's photos once they are read, 3 a pixel; 0 for what cannot be read, which the build reports."""
    held = 0
    for planned in shard.adapters:
        for name in planned.images:
            with suppress(OSError, Image.DecompressionBombError, Image.DecompressionBombWarning), warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(people / planned.person / name) as photo:
                    held += 3 * photo.width * photo.height
    return held


def _numbers(shard: PlannedShard) -> int:
    return sum(planned.recipe.rank * (planned.recipe.batch + planned.recipe.prior_batch) for planned in shard.adapters)


def _passes(shard: PlannedShard) -> int:
    return sum(planned.recipe.steps * (planned.recipe.batch + planned.recipe.prior_batch) for planned in shard.adapters)
