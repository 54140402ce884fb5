"""A distribution of recipes: an attack that learned from one recipe alone does not transfer to files made by another."""

import string
from dataclasses import dataclass

import numpy as np

from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe, Targets

__all__ = ["RecipeRanges", "draw_recipe", "snapshot_steps"]


@dataclass(frozen=True)
class RecipeRanges:
    """What each person's recipe is drawn from. One value in a tuple fixes it."""

    ranks: tuple[int, ...] = (4, 8, 16)
    alpha_by_rank: tuple[float, ...] = (0.5, 1.0, 2.0)
    """alpha divided by the rank."""
    learning_rate: tuple[float, float] = (1e-3, 4e-3)
    """Lowest and highest, log-uniform. Divided by the square root of alpha / rank, which otherwise acts like a rate."""
    steps: tuple[int, int] = (100, 400)
    """Fewest and most, uniform."""
    images: tuple[int, int] = (3, 20)
    """Fewest and most private images, uniform, as far as the person has so many."""
    prior_share: float = 0.8
    """Share of people with prior preservation."""
    prior_weight: tuple[float, float] = (0.5, 1.0)
    batch: int = 4
    prior_batch: int = 2
    class_prompt: str = "a photo of a person"
    class_count: int = 64
    targets: Targets = "attention"
    text_encoder: bool = False
    snapshots: int = 8
    """Along each run, the last step included, evenly spaced."""

    def __post_init__(self) -> None:
        spans = {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "images": self.images,
            "prior_weight": self.prior_weight,
        }
        faults = [f"{name} runs from {low} to {high}" for name, (low, high) in spans.items() if not 0 < low <= high]
        faults += [f"{name} is empty" for name in ("ranks", "alpha_by_rank") if not getattr(self, name)]
        if not 1 <= self.snapshots <= self.steps[0]:
            faults.append(f"snapshots is {self.snapshots}, with as few as {self.steps[0]} steps")
        if not 0 <= self.prior_share <= 1:
            faults.append(f"prior_share is {self.prior_share}, give 0 to 1")
        if faults:
            raise UsageError("unusable recipe ranges: " + "; ".join(faults))


def draw_recipe(ranges: RecipeRanges, rng: np.random.Generator, *, available: int) -> tuple[Recipe, int]:
    """A recipe, and how many of the `available` images it trains on."""
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
    )
    return recipe, min(wanted, available)


def snapshot_steps(steps: int, count: int) -> tuple[int, ...]:
    """`count` different steps, evenly spaced, the last of them `steps`."""
    return tuple(steps * (i + 1) // count for i in range(count))
