"""What the build of a kit takes: hours, memory, disk. It is told before anybody is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from loraleak.bases import DiffusersBase
from loraleak.bases.estimate import Estimate, estimate, with_stack
from loraleak.finetuning import target_modules
from loraleak.finetuning.forecast import forecast_together
from loraleak.kit_building.build import drawn_recipe, plan_kit, train_settings
from loraleak.kit_building.controls import attack_arms
from loraleak.kit_building.kit_settings import KitSettings
from loraleak.people import identities_in, in_part, split_people
from loraleak.zoo import ZooPlan, forecast_zoo

__all__ = ["KitForecast", "forecast_kit"]

_TOGETHER = 8
"""Adapters of controls that train in one batch."""
_UNIVERSAL = 300 * 16 * 2
"""Pictures through the denoiser while the universal z is learned."""
_HALF = 2
"""Bytes of a number of a zoo."""


@dataclass(frozen=True)
class KitForecast:
    """Time and memory of each stage, and bytes of disk."""

    stages: Mapping[str, Estimate]
    disk: int

    @property
    def says(self) -> str:
        whole = Estimate(0, 0, 0.0, 0)
        for stage in self.stages.values():
            whole = replace(
                whole, weights=max(whole.weights, stage.memory), seconds=whole.seconds + stage.seconds
            )  # the largest stage counts for memory
        parts = ", ".join(f"{name} {_hours(stage.seconds)}" for name, stage in self.stages.items())
        return f"this kit takes about {_hours(whole.seconds)} ({parts}), {_gigabytes(whole.weights)} of memory and " + (
            f"{_gigabytes(self.disk)} of disk; a stopped build goes on"
        )


def forecast_kit(settings: KitSettings, people: Path, base: DiffusersBase, *, together: int, workers: int) -> KitForecast:
    """Forecast all stages. Looking at everybody's photos is not counted.

    Raises: UsageError, if there are too few people; PhotosError, if there is no folder of people.
    """
    everybody = identities_in(people)
    split = split_people([person.name for person in everybody], settings.parts, "public", seed=settings.seed)
    plan = plan_kit(settings, everybody, split, together)
    public = split.parts["public"]
    captioned = all(person.captions for person in in_part(everybody, split, "public"))
    zoo = forecast_zoo(plan, people, base, workers=min(workers, len(plan.shards)))
    stages = {
        "zoo": zoo,
        "training": _training(settings, base, public, captioned=captioned),
        "controls": _audited(settings, base),
    }
    return KitForecast(stages, _disk(plan, base))


def _training(settings: KitSettings, base: DiffusersBase, people: Sequence[str], *, captioned: bool) -> Estimate:
    training = train_settings(settings, people, captioned=captioned)
    share = 1 - training.noise_from if captioned else 1.0
    decoded = training.noise_adapters * training.noise_images
    targets = target_modules(base, settings.ranges.targets, text_encoder=settings.ranges.text_encoder)
    ranks = [max(settings.ranges.ranks)] * training.noise_adapters
    return estimate(
        base,
        passes=int(training.steps * share) * decoded + _UNIVERSAL,
        batch=decoded,
        trained=targets,
        inside=with_stack(targets, ranks),
    )


def _audited(settings: KitSettings, base: DiffusersBase) -> Estimate:
    """Controls and people kept apart: their adapters, then what the arms make of them."""
    count = settings.controls + settings.quality
    recipes = [drawn_recipe(settings, str(i)) for i in range(count)]
    together = [recipe for recipe in recipes if recipe.prior_batch == recipes[0].prior_batch][:_TOGETHER]
    passes = [recipe.steps * (recipe.batch + recipe.prior_batch) for recipe in recipes]
    tuning = forecast_together(base, together)
    share = sum(passes) / sum(recipe.steps * (recipe.batch + recipe.prior_batch) for recipe in together)
    twice = 1 if base.distilled else 2
    pictures = settings.pictures * settings.sampler_steps * twice
    sampling = estimate(base, passes=count * len(attack_arms()) * pictures, batch=twice * settings.pictures)
    return replace(tuning, seconds=tuning.seconds * share).then(sampling)


def _disk(plan: ZooPlan, base: DiffusersBase) -> int:
    """Bytes of the zoo, which takes most of the disk."""
    shapes = target_modules(base, plan.ranges.targets, text_encoder=plan.ranges.text_encoder)
    width = sum(shape[0] + prod(shape[1:]) for shape in shapes.values())
    return sum(
        max(planned.recipe.rank for planned in shard.adapters) * sum(len(planned.snapshots) for planned in shard.adapters)
        for shard in plan.shards
    ) * (width * _HALF)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(1, round(seconds / 60))} min"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{max(1, round(count / 1e6))} MB"
