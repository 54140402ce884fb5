"""Small people, and a base in double precision: what comparisons of whole trainings start from."""

import numpy as np

from loraleak.bases import DiffusersBase
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images


def people_of(count: int) -> list[Images]:
    """Random private images: 3 of the first person, 4 of the next, and so on."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (3 + k, 16, 16, 3), dtype=np.uint8) for k in range(count)]


def in_double(base: DiffusersBase, recipe: Recipe) -> DiffusersBase:
    """The base itself, with its class images made before its precision changes."""
    class_images(base, recipe)
    base.unet.double()
    base.text_encoder.double()
    return base
