"""The draw of one person's recipe from the ranges."""

import string

import numpy as np

from loraleak.finetuning import Recipe
from loraleak.zoo.ranges import RecipeRanges

__all__ = ["draw_recipe", "snapshot_steps"]


def draw_recipe(ranges: RecipeRanges, rng: np.random.Generator, *, available: int) -> tuple[Recipe, int]:
    """Draw a recipe, and the number of the `available` images that it trains on."""
    rank = int(rng.choice(ranges.ranks))
    ratio = float(rng.choice(ranges.alpha_by_rank))
    rate = float(np.exp(rng.uniform(*np.log(ranges.learning_rate)))) / ratio**0.5
    steps = int(rng.integers(ranges.steps[0], ranges.steps[1], endpoint=True))
    wanted = int(rng.integers(ranges.images[0], ranges.images[1], endpoint=True))
    prior = bool(rng.random() < ranges.prior_share)
    recipe = Recipe(
        trigger="".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 6)))),
        class_prompt=ranges.class_prompt,
        rank=rank,
        alpha=ratio * rank,
        steps=steps,
        learning_rate=float(f"{rate:.6g}"),
        batch=ranges.batch,
        prior_batch=ranges.prior_batch if prior else 0,
        prior_weight=float(f"{rng.uniform(*ranges.prior_weight):.6g}"),
        class_count=ranges.class_count,
        text_encoder=ranges.text_encoder,
        targets=ranges.targets,
        seed=int(rng.integers(2**62)),
        start_seed=ranges.start_seed,
    )
    return recipe, min(wanted, available)


def snapshot_steps(steps: int, count: int) -> tuple[int, ...]:
    """Steps of snapshots: `count` different ones, evenly spaced, the last of them `steps`."""
    return tuple(steps * (i + 1) // count for i in range(count))
