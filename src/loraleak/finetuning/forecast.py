"""Forecast of the time and memory that fine-tuning by a recipe takes."""

from loraleak.bases import DiffusersBase
from loraleak.bases.estimate import Estimate, estimate
from loraleak.finetuning.class_images import at_once, cached_file
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.targets import target_modules

__all__ = ["forecast"]

_SAMPLER_STEPS = 20


def forecast(base: DiffusersBase, recipe: Recipe) -> Estimate:
    """Estimate for one adapter, with its class images where they are still to be made."""
    images = recipe.batch + recipe.prior_batch
    targets = target_modules(base, recipe.targets, text_encoder=recipe.text_encoder)
    training = estimate(base, passes=recipe.steps * images, batch=images, trained=targets)
    if not recipe.prior_batch or cached_file(base, recipe).exists():
        return training
    twice = 1 if base.distilled else 2
    sampling = estimate(
        base, passes=recipe.class_count * _SAMPLER_STEPS * twice, batch=min(at_once(base), recipe.class_count) * twice
    )
    return sampling.then(training)
