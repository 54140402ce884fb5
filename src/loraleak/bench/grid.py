"""The bench of arms over variants of fine-tuning: does an attack carry over, and what makes it stronger?"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from loraleak.bench.arms import bench_arms
from loraleak.bench.bench_settings import ArmsBench
from loraleak.bench.figures import save_figure

__all__ = ["bench_grid", "draw_intensity", "intensity", "transfer"]

_STEPS, _RANKS, _PHOTOS = (60, 125, 250), (2, 8, 32), (3, 10)


def transfer(usual: ArmsBench) -> dict[str, ArmsBench]:
    """Variants with one change each: recipes, photos and people that the shipped attack was not made for."""
    recipe = usual.recipe

    def with_recipe(**changes: Any) -> ArmsBench:
        return replace(usual, recipe=replace(recipe, **changes))

    variants = {
        "as usual": usual,
        "rank 2": with_recipe(rank=2, alpha=2.0),
        "rank 32": with_recipe(rank=32, alpha=32.0),
        "rank 32, half the learning rate": with_recipe(rank=32, alpha=32.0, learning_rate=recipe.learning_rate / 2),
        "alpha a quarter of the rank": with_recipe(alpha=recipe.rank / 4),
        "alpha four times the rank": with_recipe(alpha=recipe.rank * 4.0, learning_rate=recipe.learning_rate / 2),
        "60 steps": with_recipe(steps=60),
        "600 steps": with_recipe(steps=600),
        "3 images": replace(usual, photos=3),
        "20 images": replace(usual, photos=20),
        "no prior preservation": with_recipe(prior_batch=0),
        "cross-attention only": with_recipe(targets="cross-attention"),
        "feed-forward layers too": with_recipe(targets="transformer"),
    }
    return variants if usual.people else {**variants, "another style of people": replace(usual, styles=("toon-head",))}


def intensity(usual: ArmsBench) -> dict[str, ArmsBench]:
    """Variants of steps x rank x images. alpha grows with the square root of the rank, as in rsLoRA (Kalajdzievski 2023, arXiv
    2312.03732). If alpha were equal to the rank, a learning rate that suits rank 8 would make rank 32 diverge.
    """

    def cell(steps: int, rank: int, photos: int) -> ArmsBench:
        alpha = usual.recipe.alpha * (rank / usual.recipe.rank) ** 0.5
        return replace(usual, photos=photos, recipe=replace(usual.recipe, steps=steps, rank=rank, alpha=alpha))

    return {_cell(*at): cell(*at) for at in product(_STEPS, _RANKS, _PHOTOS)}


def bench_grid(variants: Mapping[str, ArmsBench], folder: Path) -> dict[str, Any]:
    """Run `bench_arms` on every variant in turn; finished victims are kept in `folder`."""
    rows, gallery = {}, 0
    for name, settings in variants.items():
        results = bench_arms(settings, folder)
        gallery = results["gallery"]
        rows[name] = {"arms": results["arms"], "effects": results["effects"], "verdict": results["verdict"]}
    return {
        "schema": "loraleak.bench-grid/1",
        "victims": next(iter(variants.values())).victims,
        "gallery": gallery,
        "rows": rows,
    }


def draw_intensity(results: Mapping[str, Any], out: Path) -> None:
    """Write `out`.png and .svg for a bench of `intensity`: every arm's rank-1 as heat maps, one for each number of images."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    arms = [arm for arm in next(iter(results["rows"].values()))["arms"] if arm != "base-class"]
    figure, axes = plt.subplots(
        len(_PHOTOS), len(arms), figsize=(1.2 + 3.1 * len(arms), 1 + 2.5 * len(_PHOTOS)), squeeze=False, layout="constrained"
    )
    for (row, photos), (column, arm) in product(enumerate(_PHOTOS), enumerate(arms)):
        axis = axes[row][column]
        at = [[results["rows"][_cell(steps, rank, photos)]["arms"][arm]["rank1"] for steps in _STEPS] for rank in _RANKS]
        means = [[interval["mean"] for interval in line] for line in at]
        image = axis.imshow(means, vmin=0, vmax=1, cmap="magma", aspect="auto", origin="lower")
        for y, line in enumerate(at):
            for x, interval in enumerate(line):
                text = f"{interval['mean']:.2f}\n[{interval['low']:.2f}, {interval['high']:.2f}]"
                colour = "black" if interval["mean"] > 0.6 else "white"
                axis.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)
        axis.set_xticks(range(len(_STEPS)), [str(steps) for steps in _STEPS])
        axis.set_yticks(range(len(_RANKS)), [str(rank) for rank in _RANKS])
        axis.set_title(f"{arm}, {photos} images", fontsize=10)
        if row == len(_PHOTOS) - 1:
            axis.set_xlabel("steps")
        if column == 0:
            axis.set_ylabel("rank")
    figure.colorbar(image, ax=axes, label="person found among the gallery (rank-1)")
    save_figure(figure, out)


def _cell(steps: int, rank: int, photos: int) -> str:
    return f"{steps} steps, rank {rank}, {photos} images"
