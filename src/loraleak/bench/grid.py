"""The bench of arms over variants of what the owner did: does an attack carry over, and what makes it stronger?"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from loraleak.bench.arms import ArmsBench, bench_arms

__all__ = ["bench_grid", "intensity", "transfer"]


def transfer(usual: ArmsBench) -> dict[str, ArmsBench]:
    """One thing changed at a time: recipes, photos and people that the shipped attack was not made for."""
    recipe = usual.cases.recipe

    def with_recipe(**changes: Any) -> ArmsBench:
        return replace(usual, cases=replace(usual.cases, recipe=replace(recipe, **changes)))

    def with_photos(count: int) -> ArmsBench:
        return replace(usual, cases=replace(usual.cases, photos=count))

    return {
        "as usual": usual,
        "rank 2": with_recipe(rank=2, alpha=2.0),
        "rank 32": with_recipe(rank=32, alpha=32.0),
        "alpha a quarter of the rank": with_recipe(alpha=recipe.rank / 4),
        "alpha four times the rank": with_recipe(alpha=recipe.rank * 4.0, learning_rate=recipe.learning_rate / 2),
        "60 steps": with_recipe(steps=60),
        "600 steps": with_recipe(steps=600),
        "3 images": with_photos(3),
        "20 images": with_photos(20),
        "no prior preservation": with_recipe(prior_batch=0),
        "cross-attention only": with_recipe(targets="cross-attention"),
        "feed-forward layers too": with_recipe(targets="transformer"),
        "another style of people": replace(usual, styles=("toon-head",)),
    }


def intensity(usual: ArmsBench) -> dict[str, ArmsBench]:
    """Steps x rank x images."""
    cases = usual.cases

    def cell(steps: int, rank: int, photos: int) -> ArmsBench:
        recipe = replace(cases.recipe, steps=steps, rank=rank, alpha=float(rank))
        return replace(usual, cases=replace(cases, photos=photos, recipe=recipe))

    cells = product((60, 125, 250, 500), (2, 8, 32), (3, 10))
    return {f"{steps} steps, rank {rank}, {photos} images": cell(steps, rank, photos) for steps, rank, photos in cells}


def bench_grid(variants: Mapping[str, ArmsBench], folder: Path) -> dict[str, Any]:
    """Every variant in turn, each as `bench_arms`; finished victims are kept in `folder`."""
    rows = {}
    for name, settings in variants.items():
        results = bench_arms(settings, folder)
        rows[name] = {"arms": results["arms"], "effects": results["effects"], "verdict": results["verdict"]}
    return {
        "schema": "loraleak.bench-grid/1",
        "victims": next(iter(variants.values())).victims,
        "gallery": next(iter(variants.values())).gallery,
        "rows": rows,
    }
