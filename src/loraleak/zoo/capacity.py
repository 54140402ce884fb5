"""Number of adapters to train in one batch. On a GPU it is what the memory holds, as measured there."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences import UNDEFENDED, TrainingTime
from loraleak.finetuning import Job, Recipe
from loraleak.zoo.ranges import RecipeRanges

__all__ = ["ON_CPU", "adapters_together", "as_many_as_fit"]

ON_CPU = 16
"""Adapters in a batch on a CPU. From 8 on, arithmetic bounds the speed (benchmarks/zoo.py), and more only take memory."""

_MAX_ADAPTERS = 128
_SHARE = 0.8
"""Share of the free memory that is used. The rest is for fragments."""


def adapters_together(base: DiffusersBase, ranges: RecipeRanges, defence: TrainingTime = UNDEFENDED) -> int:
    """Number of adapters for this base and its device, at the highest rank of the ranges."""
    if base.device.type != "cuda":
        return ON_CPU
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(base.device)
    return as_many_as_fit(lambda count: _peak(base, ranges, count, defence), _SHARE * free)


def as_many_as_fit(peak: Callable[[int], int], budget: float) -> int:
    """Most adapters, 1 to 128, whose `peak(adapters)` bytes are within the budget, by a line through 1 and 2 adapters."""
    one, two = peak(1), peak(2)
    each = max(two - one, 1)
    return int(np.clip((budget - (one - each)) // each, 1, _MAX_ADAPTERS))


def _peak(base: DiffusersBase, ranges: RecipeRanges, count: int, defence: TrainingTime) -> int:
    """Bytes that one step of `count` adapters takes on top of what is allocated before."""
    before = torch.cuda.memory_allocated(base.device)
    torch.cuda.reset_peak_memory_stats(base.device)
    recipe = Recipe(
        class_prompt=ranges.class_prompt,
        rank=max(ranges.ranks),
        steps=1,
        batch=ranges.batch,
        prior_batch=ranges.prior_batch,
        text_encoder=ranges.text_encoder,
        targets=ranges.targets,
    )
    blank = np.zeros((max(2, ranges.batch), base.resolution, base.resolution, 3), dtype=np.uint8)
    jobs = [Job(blank, replace(recipe, seed=k), class_images=blank) for k in range(count)]
    for _ in defence.finetune_together(base, jobs, quiet=True):
        pass
    return torch.cuda.max_memory_allocated(base.device) - before
