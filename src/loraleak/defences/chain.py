"""Defences one after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import Guarantee
from loraleak.defences.protocol import PostHoc, TrainingTime
from loraleak.defences.training.early_stopping import EarlyStopping
from loraleak.defences.training.fewer_factors import FewerFactors
from loraleak.finetuning import Job, Recipe, Snapshot
from loraleak.types import Adapter

__all__ = ["Chain", "OtherRecipe"]


@dataclass(frozen=True)
class Chain:
    """Post-hoc: each defence gets what the one before it made."""

    name: ClassVar[str] = "chain"
    links: tuple[PostHoc, ...]

    @property
    def says(self) -> str:
        return " Then: ".join(link.says for link in self.links)

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        for link in self.links:
            adapter = link.apply(adapter, base)
        return adapter


@dataclass(frozen=True)
class OtherRecipe:
    """Training-time: a defence that only changes the recipe, and the one that trains by it."""

    name: ClassVar[str] = "chain"
    change: EarlyStopping | FewerFactors
    training: TrainingTime

    @property
    def says(self) -> str:
        return f"{self.change.says} With it: {self.training.says}"

    def defended(self, recipe: Recipe) -> Recipe:
        return self.training.defended(self.change.defended(recipe))

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        changed = [replace(job, recipe=self.change.defended(job.recipe)) for job in jobs]
        return self.training.finetune_together(base, changed, quiet=quiet)

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        return self.training.guarantee(self.change.defended(recipe), images)
