"""What is to be trained."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images, Picture

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One adapter to train."""

    images: Sequence[Picture] | Images
    recipe: Recipe
    snapshots: Collection[int] = ()
    """Steps after which the adapter is wanted too, besides the last."""
    class_images: Images | None = None
    """For prior preservation; None makes (or finds in the cache) those of the recipe."""
