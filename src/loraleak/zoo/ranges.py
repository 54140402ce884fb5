"""A distribution of recipes. An attack that learned from one recipe alone does not transfer to files made by another.

Light to import, so that the command line starts fast.
"""

from dataclasses import dataclass

from loraleak.errors import UsageError
from loraleak.finetuning import Recipe, Targets

__all__ = ["RecipeRanges"]


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
        faults = [f"{name} runs from {low} to {high}" for name, (low, high) in spans.items() if not 0 < low <= high]
        faults += [f"{name} is empty" for name in ("ranks", "alpha_by_rank") if not getattr(self, name)]
        if not 1 <= self.snapshots <= self.steps[0]:
            faults.append(f"snapshots is {self.snapshots}, with as few as {self.steps[0]} steps")
        if not 0 <= self.prior_share <= 1:
            faults.append(f"prior_share is {self.prior_share}, give 0 to 1")
        if faults:
            raise UsageError("unusable recipe ranges: " + "; ".join(faults))
