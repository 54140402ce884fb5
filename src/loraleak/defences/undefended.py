"""The absence of a defence, as a training-time defence, so that undefended training takes the same way as defended training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import Guarantee
from loraleak.defences.protocol import Defence, TrainingTime
from loraleak.finetuning import Job, Recipe, Snapshot, finetune_together

__all__ = ["UNDEFENDED", "Undefended"]


@dataclass(frozen=True)
class Undefended(TrainingTime):
    """Fine-tuning as it is. It has no links, so its text is empty."""

    name: ClassVar[str] = "none"
    says: ClassVar[str] = "Fine-tunes without a defence."
    links: ClassVar[tuple[Defence, ...]] = ()

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        return finetune_together(base, jobs, quiet=quiet)

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        return Guarantee(unit=None, neighbouring=None, why_none="nothing hides the private images while it trains")


UNDEFENDED = Undefended()
