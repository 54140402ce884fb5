"""Early stopping: fewer steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import TrainingTime
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot, finetune_together

__all__ = ["EarlyStopping"]


@dataclass(frozen=True)
class EarlyStopping(TrainingTime):
    """Fine-tuning for a share of the recipe's steps."""

    name: ClassVar[str] = "early-stopping"
    says: ClassVar[str] = "Stops before the person is learned to the full. Whatever the owner can still draw, others may find."
    recipe_only: ClassVar[bool] = True
    share: float = 0.4
    """Share of the steps that are trained."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"early-stopping: share is {self.share:g}, give a number above 0 and up to 1")

    def defended(self, recipe: Recipe) -> Recipe:
        return replace(recipe, steps=max(1, round(self.share * recipe.steps)))

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train for fewer steps. Snapshots that are wanted after the last step do not come."""
        return finetune_together(base, [replace(job, recipe=self.defended(job.recipe)) for job in jobs], quiet=quiet)
