"""A post-hoc defence as one of fine-tuning: what is trained is changed before anybody gets it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import NO_PROMISE, Guarantee, PostHoc, TrainingTime
from loraleak.finetuning import Job, Recipe, Snapshot, finetune_together

__all__ = ["Afterwards"]


@dataclass(frozen=True)
class Afterwards:
    """Fine-tuning, then the defence, on every snapshot."""

    defence: PostHoc
    training: TrainingTime | None = None
    """How it is fine-tuned; None for as it is."""

    @property
    def name(self) -> str:
        return self.defence.name if self.training is None else "chain"

    @property
    def says(self) -> str:
        return self.defence.says if self.training is None else f"{self.training.says} Then: {self.defence.says}"

    def defended(self, recipe: Recipe) -> Recipe:
        return recipe if self.training is None else self.training.defended(recipe)

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        train = finetune_together if self.training is None else self.training.finetune_together
        for snapshot in train(base, jobs, quiet=quiet):
            yield replace(snapshot, adapter=self.defence.apply(snapshot.adapter, base))

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Of the training: nothing that is done to its outcome can weaken differential privacy."""
        return NO_PROMISE if self.training is None else self.training.guarantee(recipe, images)
