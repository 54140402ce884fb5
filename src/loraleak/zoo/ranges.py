"""A distribution of recipes. An attack that learned from one recipe alone does not transfer to files made by another.

Light to import, so that the command line starts fast.
"""

from dataclasses import dataclass

from loraleak.checks import ABOVE_0, SEEDS, out_of_bounds, refuse
from loraleak.finetuning import Recipe, Targets

__all__ = ["RecipeRanges"]


_BOUNDS = {
    "ranks": (1, 1024),
    "alpha_by_rank": (ABOVE_0, 1000),
    "learning_rate": (ABOVE_0, 10),
    "steps": (1, 10_000_000),
    "images": (1, 100_000),
    "prior_share": (0, 1),
    "prior_weight": (ABOVE_0, 1000),
    "batch": (1, 4096),
    "prior_batch": (0, 4096),
    "class_count": (0, 100_000),
    "snapshots": (1, 10_000),
    "start_seed": SEEDS,
}


@dataclass(frozen=True)
class RecipeRanges:
    """Ranges from which each person's recipe is drawn. One value in a tuple fixes it."""

    ranks: tuple[int, ...] = (4, 8, 16)
    """Ranks to choose from."""
    alpha_by_rank: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Values of alpha divided by the rank, to choose from."""
    learning_rate: tuple[float, float] = (1.5e-3, 6e-3)
    """Lowest and highest learning rate, log-uniform, divided by the root of alpha / rank, which otherwise acts like a rate."""
    steps: tuple[int, int] = (100, 400)
    """Fewest and most steps, uniform."""
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
    """Snapshots of each run, evenly spaced. The last step is one of them."""
    start_seed: int | None = None
    """Seed of the factors A at the start of every run, as if all had a trainer's default; None gives each run a start of its own."""

    @property
    def class_images(self) -> Recipe:
        """Recipe of the class images, which all people share."""
        return Recipe(class_prompt=self.class_prompt, class_count=self.class_count)

    def __post_init__(self) -> None:
        spans = {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "images": self.images,
            "prior_weight": self.prior_weight,
        }
        faults = out_of_bounds(self, _BOUNDS)
        faults += [f"{name} runs from {low} to {high}" for name, (low, high) in spans.items() if not low <= high]
        faults += [f"{name} is empty" for name in ("ranks", "alpha_by_rank") if not getattr(self, name)]
        if not 1 <= self.snapshots <= self.steps[0]:
            faults.append(f"snapshots is {self.snapshots}, with as few as {self.steps[0]} steps")
        refuse(*faults)
