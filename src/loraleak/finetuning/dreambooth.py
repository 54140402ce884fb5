"""DreamBooth LoRA fine-tuning of one person: a stack of one."""

from collections.abc import Sequence

from loraleak.bases import DiffusersBase
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.types import Adapter, Images, Picture

__all__ = ["finetune"]


def finetune(base: DiffusersBase, images: Sequence[Picture] | Images, recipe: Recipe, *, quiet: bool = False) -> Adapter:
    """Train an adapter on the images (Ruiz et al. 2023; Hu et al. 2022).

    Raises: PhotosError, if there is no image.
    """
    *_, last = finetune_together(base, [Job(images, recipe)], quiet=quiet)
    return last.adapter
