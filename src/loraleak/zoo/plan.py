"""The plan of a zoo, made before any adapter is trained: a function of the people's names, the ranges and a seed alone."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from loraleak.defences import UNDEFENDED, Guarantee, TrainingTime
from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.people import Identity
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.recipes import draw_recipe, snapshot_steps

__all__ = ["PlannedAdapter", "PlannedShard", "ZooPlan", "plan_zoo"]


@dataclass(frozen=True)
class PlannedAdapter:
    """One person's adapter."""

    person: str
    """The name of the identity folder."""
    images: tuple[str, ...]
    """Names of the image files in that folder."""
    recipe: Recipe
    snapshots: tuple[int, ...]


@dataclass(frozen=True)
class PlannedShard:
    """Adapters that train together and are kept in one file."""

    name: str
    adapters: tuple[PlannedAdapter, ...]


@dataclass(frozen=True)
class ZooPlan:
    """All shards of a zoo."""

    ranges: RecipeRanges
    seed: int
    together: int
    shards: tuple[PlannedShard, ...]
    defence: TrainingTime = UNDEFENDED
    """Defence with which every adapter is trained. Recipes are those before the defence, snapshots those after it."""

    @property
    def digest(self) -> str:
        """Hash of all but the defence, which is named next to it in a zoo's files."""
        facts = {key: value for key, value in asdict(self).items() if key != "defence"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def guarantee(self) -> Guarantee:
        """Guarantee of an adapter. It never states an epsilon, because the seeds that a zoo records draw its noise again."""
        first = self.shards[0].adapters[0]
        return self.defence.guarantee(first.recipe, len(first.images))


def plan_zoo(
    people: Sequence[Identity],
    ranges: RecipeRanges,
    *,
    seed: int = 0,
    together: int = 16,
    defence: TrainingTime = UNDEFENDED,
) -> ZooPlan:
    """Draw a recipe for each person, and put people whose recipes can share a batch into shards of `together`.

    Longest runs come first within a kind, so that the adapters of one shard end at about the same time.
    Raises: UsageError, if there is nobody, or if somebody has no photo in a folder.
    """
    if together < 1:
        raise UsageError(f"{together} adapters together: give at least 1")
    if not people:
        raise UsageError("there is nobody to fine-tune on: give people with photos")
    planned = [_planned(person, ranges, seed, defence) for person in people]
    kinds: dict[int, list[PlannedAdapter]] = defaultdict(list)
    for adapter in planned:
        kinds[adapter.recipe.prior_batch].append(adapter)
    groups = [
        group
        for _, adapters in sorted(kinds.items(), reverse=True)
        for group in _cut(sorted(adapters, key=lambda a: (-a.recipe.steps, a.person)), together)
    ]
    shards = tuple(PlannedShard(f"{i:05d}", tuple(group)) for i, group in enumerate(groups))
    return ZooPlan(ranges=ranges, seed=seed, together=together, shards=shards, defence=defence)


def _planned(person: Identity, ranges: RecipeRanges, seed: int, defence: TrainingTime) -> PlannedAdapter:
    key = int.from_bytes(hashlib.sha256(person.name.encode()).digest()[:8], "big")
    rng = np.random.Generator(np.random.Philox(key=[seed, key]))
    files = person.photos
    if not files:
        raise UsageError(f"{person.name} has no photos in a folder: write drawn people with `loraleak people`, or add photos")
    recipe, count = draw_recipe(ranges, rng, available=len(files))
    chosen = tuple(files[i] for i in sorted(rng.choice(len(files), count, replace=False)))
    steps = defence.defended(recipe).steps
    return PlannedAdapter(person.name, chosen, recipe, snapshot_steps(steps, min(steps, ranges.snapshots)))


def _cut(adapters: Sequence[PlannedAdapter], size: int) -> list[Sequence[PlannedAdapter]]:
    return [adapters[i : i + size] for i in range(0, len(adapters), size)]
