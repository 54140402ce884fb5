"""Forecast of the time and memory that fine-tuning by a recipe takes."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from loraleak.bases import DiffusersBase, sampled_at_once
from loraleak.bases.estimate import Estimate, estimate, with_stack
from loraleak.finetuning.class_images import cached_file
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.targets import target_modules

__all__ = ["forecast", "forecast_class_images", "forecast_together"]

_SAMPLER_STEPS = 20
_MOMENTS = 2
"""Numbers that AdamW keeps for each number of an adapter."""


def forecast(base: DiffusersBase, recipe: Recipe) -> Estimate:
    """Estimate for one adapter, with its class images where they are still to be made."""
    training = forecast_together(base, [recipe])
    sampling = forecast_class_images(base, recipe) if recipe.prior_batch else None
    return training if sampling is None else sampling.then(training)


def forecast_class_images(base: DiffusersBase, recipe: Recipe) -> Estimate | None:
    """Estimate for the class images of a recipe; None where the cache holds them."""
    if cached_file(base, recipe).exists():
        return None
    twice = 1 if base.distilled else 2
    batch = min(sampled_at_once(base), recipe.class_count) * twice
    return estimate(base, passes=recipe.class_count * _SAMPLER_STEPS * twice, batch=batch)


def forecast_together(base: DiffusersBase, recipes: Sequence[Recipe]) -> Estimate:
    """Estimate for adapters that train in one batch, without class images."""
    first = recipes[0]
    images = first.batch + first.prior_batch
    targets = target_modules(base, first.targets, text_encoder=first.text_encoder)
    training = estimate(
        base,
        passes=sum(recipe.steps for recipe in recipes) * images,
        batch=len(recipes) * images,
        trained=targets,
        inside=with_stack(targets, [recipe.rank for recipe in recipes]),
    )
    numbers = max(recipe.rank for recipe in recipes) * sum(shape[0] + prod(shape[1:]) for shape in targets.values())
    return replace(training, working=training.working + _MOMENTS * len(recipes) * numbers * base.like.element_size())
