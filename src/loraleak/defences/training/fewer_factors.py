"""Fewer or frozen factors, which leave less room for a person's looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import TrainingTime
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot, Targets, Trainer, finetune_together

__all__ = ["FewerFactors"]


@dataclass(frozen=True)
class FewerFactors(TrainingTime):
    """A lower rank, fewer modules, or A left as it starts."""

    name: ClassVar[str] = "fewer-factors"
    says: ClassVar[str] = "Leaves the file less room to hold what a person looks like."
    rank: int | None = 1
    """Highest rank, with alpha / rank as it was; none leaves the recipe's rank."""
    targets: Targets | None = None
    """Modules instead of the recipe's, such as `cross-attention`; none leaves the recipe's."""
    freeze_down: bool = False
    """Train only the factors B (FFA-LoRA, Sun et al. 2024)."""

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise UsageError(f"fewer-factors: rank is {self.rank}, it must be at least 1")
        if self.rank is None and self.targets is None and not self.freeze_down:
            raise UsageError("fewer-factors changes nothing: give rank=, targets= or freeze_down=true")

    @property
    def recipe_only(self) -> bool:
        return not self.freeze_down

    def defended(self, recipe: Recipe) -> Recipe:
        rank = recipe.rank if self.rank is None else min(self.rank, recipe.rank)
        return replace(recipe, rank=rank, alpha=recipe.alpha * rank / recipe.rank, targets=self.targets or recipe.targets)

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        defended = [replace(job, recipe=self.defended(job.recipe)) for job in jobs]
        return finetune_together(base, defended, quiet=quiet, trainer=partial(Trainer, freeze_down=self.freeze_down))
