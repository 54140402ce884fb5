"""The attack that ships for pocket: zoos of public people, then the training of the weight autoencoder."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.inversion import TrainSettings, WeightAutoencoder, read_public_people, train_attack
from loraleak.people import draw_people, identities_in, write_people
from loraleak.zoo import RecipeRanges, Site, Zoo, build_zoo, local_workers, plan_zoo

__all__ = ["AttackRecipe", "ZooRecipe", "train_shipped_attack"]

_SEED = 11
_IMAGES = 8


@dataclass(frozen=True)
class ZooRecipe:
    """Recipe of a zoo: which public people it holds, and how they are fine-tuned."""

    first: int
    people: int
    ranges: RecipeRanges


@dataclass(frozen=True)
class AttackRecipe:
    """Recipe of the shipped attack. One zoo has many people in short runs, the other fewer in runs as long as an owner's."""

    zoos: tuple[ZooRecipe, ...] = (
        ZooRecipe(0, 1500, RecipeRanges(steps=(60, 160), batch=2, prior_batch=1)),
        ZooRecipe(1700, 800, RecipeRanges(steps=(150, 350), learning_rate=(3e-3, 7e-3), batch=2, prior_batch=1)),
    )
    training: TrainSettings = field(default_factory=TrainSettings)


def train_shipped_attack(base: DiffusersBase, source: str, recipe: AttackRecipe, work: Path) -> WeightAutoencoder:
    """Draw the people, build their zoos and train. A stopped run goes on from `work`. Workers load the base by its `source`.

    Raises: UsageError, if somebody's adapter could not be made.
    """
    people = work / "public"
    for i, zoo in enumerate(recipe.zoos):
        mine = work / f"public-{i}"
        if not (mine / "NOTICE").exists():
            drawn = draw_people("public", zoo.first + zoo.people, seed=_SEED)[zoo.first :]
            write_people(mine, drawn, images=_IMAGES, size=64, seed=_SEED, first=zoo.first)
        people.mkdir(exist_ok=True)
        for folder in mine.iterdir():
            if folder.is_dir() and not (people / folder.name).exists():
                (people / folder.name).symlink_to(folder.resolve(), target_is_directory=True)
        site = Site(mine.resolve(), str(work / f"zoo-{i}"), BaseSettings(source, device="cpu"))
        failures = build_zoo(
            plan_zoo(identities_in(mine), zoo.ranges), mine, site.folder, base, builder=local_workers(site, os.cpu_count() or 1)
        )
        if failures:
            raise UsageError(f"no adapter of {failures[0].person} ({failures[0].reason}): run the build again")
    zoos = [Zoo(work / f"zoo-{i}") for i in range(len(recipe.zoos))]
    public = read_public_people(zoos, identities_in(people), base, held_out=recipe.training.held_out)
    return train_attack(base, public, recipe.training, work / "attack")
