"""Class images for prior preservation, which the base itself makes of the class prompt."""

import hashlib
import json
from pathlib import Path

import numpy as np

from loraleak.bases import DiffusersBase, guided, sample, sampled_at_once
from loraleak.cache import cache_folder, cached
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images

__all__ = ["cached_file", "class_images"]


def class_images(base: DiffusersBase, recipe: Recipe) -> Images:
    """Pictures of the class prompt for prior preservation, generated once for each base, prompt and count, and cached."""

    def make() -> Images:
        condition, empty = base.embed([recipe.class_prompt, ""])
        denoiser = guided(base, condition, empty, recipe.guidance_scale)
        size = sampled_at_once(base)
        counts = [min(size, recipe.class_count - start) for start in range(0, recipe.class_count, size)]
        return np.concatenate([sample(base, denoiser, count, seed=1_000_000 + i) for i, count in enumerate(counts)])

    return cached(cached_file(base, recipe), make)


def cached_file(base: DiffusersBase, recipe: Recipe) -> Path:
    """Path of the class images of this base and recipe, which may not be there yet."""
    other = [base.resolution] if base.resolution != base.own_resolution else []
    key = json.dumps([base.sha256, recipe.class_prompt, recipe.class_count, recipe.guidance_scale, *other])
    return cache_folder() / f"class-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
