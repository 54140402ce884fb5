"""Defences one after another: of a finished adapter, and of fine-tuning."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import Guarantee
from loraleak.defences.protocol import Defence, PostHoc, TrainingTime
from loraleak.defences.undefended import UNDEFENDED
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot
from loraleak.types import Adapter

__all__ = ["PostHocChain", "TrainingChain", "chained", "in_training"]


@dataclass(frozen=True)
class PostHocChain(PostHoc):
    """Post-hoc defences in a row. Each gets the adapter that the one before it made."""

    name: ClassVar[str] = "chain"
    parts: tuple[PostHoc, ...]

    @property
    def says(self) -> str:
        return " Then: ".join(part.says for part in self.parts)

    @property
    def needs_base(self) -> bool:
        return any(part.needs_base for part in self.parts)

    @property
    def links(self) -> tuple[Defence, ...]:
        return _flat(self.parts)

    def changes_weights(self, adapter: Adapter) -> bool:
        return any(part.changes_weights(adapter) for part in self.parts)

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        for part in self.parts:
            adapter = part.apply(adapter, base)
        return adapter


@dataclass(frozen=True)
class TrainingChain(TrainingTime):
    """Training-time defences in a row: changes of the recipe, the training by it, then changes of every snapshot."""

    changes: tuple[TrainingTime, ...] = ()
    """Defences that are `recipe_only`."""
    training: TrainingTime = UNDEFENDED
    after: tuple[PostHoc, ...] = ()

    @property
    def name(self) -> str:
        return self.links[0].name if len(self.links) == 1 else "chain"

    @property
    def says(self) -> str:
        trained = " With it: ".join(part.says for part in (*self.changes, self.training) if part.links)
        return " Then: ".join([*([trained] if trained else []), *(part.says for part in self.after)])

    @property
    def links(self) -> tuple[Defence, ...]:
        return _flat((*self.changes, self.training, *self.after))

    @property
    def needs_secret_seed(self) -> bool:
        return self.training.needs_secret_seed

    def defended(self, recipe: Recipe) -> Recipe:
        return self.training.defended(self._changed(recipe))

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        changed = [replace(job, recipe=self._changed(job.recipe)) for job in jobs]
        for snapshot in self.training.finetune_together(base, changed, quiet=quiet):
            yield replace(snapshot, adapter=PostHocChain(self.after).apply(snapshot.adapter, base))

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Guarantee of the training. No change of its outcome can weaken differential privacy."""
        return self.training.guarantee(self._changed(recipe), images)

    def _changed(self, recipe: Recipe) -> Recipe:
        for change in self.changes:
            recipe = change.defended(recipe)
        return recipe


def in_training(defence: Defence) -> TrainingTime:
    """The defence as a training-time one. A post-hoc defence follows the training."""
    return TrainingChain(after=(defence,)) if defence.stage == "post-hoc" else defence


def chained(parts: Sequence[Defence]) -> Defence:
    """One defence made of two or more.

    Raises: UsageError, if one of fine-tuning follows one of finished adapters, or two change what a step does.
    """
    after = tuple(part for part in parts if part.stage == "post-hoc")
    early = [part for part in parts if part.stage == "training-time"]
    if [*early, *after] != list(parts):
        raise UsageError(
            f"{early[-1].name} changes fine-tuning: put it before {after[0].name}, which changes the finished adapter"
        )
    if not early:
        return PostHocChain(after)
    *changes, training = early
    for change in changes:
        if not change.recipe_only:
            raise UsageError(_misplaced(change, training))
    return TrainingChain(tuple(changes), training, after)


def _misplaced(change: TrainingTime, training: TrainingTime) -> str:
    if training.recipe_only:
        return f"{change.name} changes what a step does: put it after {training.name}, which changes the recipe alone"
    return (
        f"{change.name} and {training.name} both change what a step does: before {training.name} only defences can stand that "
        "change the recipe alone, such as early-stopping"
    )


def _flat(parts: Sequence[Defence]) -> tuple[Defence, ...]:
    return tuple(link for part in parts for link in part.links)
