"""Other people whom the base itself draws from the class prompt, once for each base. The cache keeps them."""

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np

from loraleak.bases import DiffusersBase, guided, sample, sampled_at_once
from loraleak.bases.estimate import Estimate, estimate
from loraleak.cache import cache_folder, cached
from loraleak.progress import track
from loraleak.types import Images

__all__ = ["draw_people", "estimate_of_drawing"]

_FIRST_SEED = 2_000_000
"""First of the seeds of these people, apart from those of class images, which adapters are trained on."""


def draw_people(
    base: DiffusersBase, *, class_prompt: str, count: int, steps: int, guidance_scale: float, quiet: bool = True
) -> Images:
    """Sample `count` pictures of the class prompt, one for each person. A stopped run goes on from the batches in the cache."""
    files = _files(base, class_prompt, count, steps, guidance_scale)
    size = sampled_at_once(base)

    def draw(i: int) -> Images:
        condition, empty = base.embed([class_prompt, ""])
        denoiser = guided(base, condition, empty, guidance_scale)
        return sample(base, denoiser, min(size, count - i * size), seed=_FIRST_SEED + i, steps=steps)

    hidden = quiet or all(file.exists() for file in files)
    batches = track(list(enumerate(files)), "drawing other people", len(files), hidden=hidden)
    return np.concatenate([cached(file, partial(draw, i)) for i, file in batches])


def estimate_of_drawing(
    base: DiffusersBase, *, class_prompt: str, count: int, steps: int, guidance_scale: float
) -> Estimate | None:
    """Time and memory that `draw_people` takes; None where the cache holds everybody."""
    files = _files(base, class_prompt, count, steps, guidance_scale)
    missing = sum(not file.exists() for file in files)
    if not missing:
        return None
    passes = 1 if base.distilled else 2
    pictures = min(missing * sampled_at_once(base), count)
    return estimate(
        base, passes=passes * pictures * steps, batch=passes * min(sampled_at_once(base), pictures), pictures=pictures
    )


def _files(base: DiffusersBase, class_prompt: str, count: int, steps: int, guidance_scale: float) -> list[Path]:
    key = json.dumps([base.sha256, base.resolution, class_prompt, count, steps, guidance_scale])
    folder = cache_folder() / f"people-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return [folder / f"{i:04d}.npy" for i in range(-(-count // sampled_at_once(base)))]
