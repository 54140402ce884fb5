"""A post-hoc defence as one of fine-tuning: what is trained is changed before anybody gets it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import NO_PROMISE, Guarantee
from loraleak.defences.protocol import PostHoc, TrainingTime
from loraleak.defences.undefended import UNDEFENDED
from loraleak.finetuning import Job, Recipe, Snapshot

__all__ = ["Afterwards", "in_training"]


@dataclass(frozen=True)
class Afterwards:
    """Fine-tuning, then the defence, on every snapshot."""

    defence: PostHoc
    training: TrainingTime = UNDEFENDED
    """How it is fine-tuned."""

    @property
    def name(self) -> str:
        return self.defence.name if self.training == UNDEFENDED else "chain"

    @property
    def says(self) -> str:
        return self.defence.says if self.training == UNDEFENDED else f"{self.training.says} Then: {self.defence.says}"

    def defended(self, recipe: Recipe) -> Recipe:
        return self.training.defended(recipe)

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        for snapshot in self.training.finetune_together(base, jobs, quiet=quiet):
            yield replace(snapshot, adapter=self.defence.apply(snapshot.adapter, base))

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Of the training: nothing that is done to its outcome can weaken differential privacy."""
        promised = self.training.guarantee(recipe, images)
        return NO_PROMISE if self.training == UNDEFENDED else promised


def in_training(defence: PostHoc | TrainingTime | None) -> TrainingTime:
    """The defence as one of fine-tuning: a post-hoc one follows the training, and None leaves it as it is."""
    if defence is None:
        return UNDEFENDED
    return Afterwards(defence) if isinstance(defence, PostHoc) else defence
