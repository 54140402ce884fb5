"""A post-hoc defence as one of fine-tuning: what is trained is changed before anybody gets it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import NO_PROMISE, Guarantee, PostHoc
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together

__all__ = ["Afterwards"]


@dataclass(frozen=True)
class Afterwards:
    """Fine-tuning as it is, then the defence, on every snapshot."""

    defence: PostHoc

    @property
    def name(self) -> str:
        return self.defence.name

    @property
    def says(self) -> str:
        return self.defence.says

    def defended(self, recipe: Recipe) -> Recipe:
        return recipe

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        for snapshot in finetune_together(base, jobs, quiet=quiet):
            yield replace(snapshot, adapter=self.defence.apply(snapshot.adapter, base))

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        return NO_PROMISE
