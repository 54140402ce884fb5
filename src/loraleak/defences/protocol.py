"""What a defence is: a change to a finished adapter (post-hoc), or to fine-tuning itself (training-time)."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import Guarantee
from loraleak.finetuning import Job, Recipe, Snapshot
from loraleak.types import Adapter

__all__ = ["PostHoc", "TrainingTime"]


@runtime_checkable
class PostHoc(Protocol):
    """Maps an adapter to an adapter. A frozen dataclass whose fields are its settings."""

    @property
    def name(self) -> str: ...

    @property
    def says(self) -> str:
        """One plain sentence for an owner: what it does to the file."""
        ...

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        """The defended adapter; equal settings, seed included, give equal adapters.

        Raises: UsageError, if the defence needs the base and there is none; BaseMismatchError, if the adapter does not fit it.
        """
        ...


@runtime_checkable
class TrainingTime(Protocol):
    """Changes the loss, the gradient or the schedule. A frozen dataclass whose fields are its settings."""

    @property
    def name(self) -> str: ...

    @property
    def says(self) -> str:
        """One plain sentence for an owner: what it does to the training."""
        ...

    def defended(self, recipe: Recipe) -> Recipe:
        """The recipe that is trained in the place of this one; the same where the defence changes only what a step does."""
        ...

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """As `loraleak.finetuning.stacked.finetune_together`, defended."""
        ...

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """What an adapter trained by this recipe, defended, on this many private images may claim.

        No epsilon is stated where the recipe's seed is not secret (`loraleak.finetuning.secrecy`).
        """
        ...
