"""A job: one adapter to train."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loraleak.errors import PhotosError
from loraleak.finetuning.checkpoints import Checkpoints
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images, Picture

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One adapter to train."""

    images: Sequence[Picture] | Images
    recipe: Recipe
    snapshots: Collection[int] = ()
    """Steps besides the last after which the adapter is wanted too."""
    class_images: Images | None = None
    """Class images for prior preservation; None makes those of the recipe, or finds them in the cache."""

    checkpoints: Checkpoints | None = None
    """Where the training is kept meanwhile, for one adapter alone; None keeps it nowhere."""

    def __post_init__(self) -> None:
        """Raises: PhotosError, if there is no image."""
        if len(self.images) == 0:
            raise PhotosError("there are no images to train on: give a folder with 3 to 20 jpg, png or webp files")
