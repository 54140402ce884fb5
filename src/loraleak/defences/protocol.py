"""What a defence is: a change to a finished adapter (post-hoc), or to fine-tuning itself (training-time)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from loraleak.bases import DiffusersBase
from loraleak.finetuning import Job, Recipe, Snapshot
from loraleak.types import Adapter

__all__ = ["NO_PROMISE", "Guarantee", "PostHoc", "TrainingTime"]


@dataclass(frozen=True)
class Guarantee:
    """What differential privacy promises of a fine-tuned adapter, or that it promises nothing."""

    epsilon_image: float | None
    """Of one private image; None where no epsilon can be stated."""
    epsilon_person: float | None
    """Of all private images together, by group privacy; None where no epsilon can be stated."""
    delta: float | None
    """Of one private image; None where no epsilon can be stated."""
    says: str
    """In plain words, with why there is none where there is none: `noise, no guarantee: ...`."""


NO_PROMISE = Guarantee(None, None, None, "no guarantee: it makes known attacks harder, and promises nothing of others")


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
        """What an adapter trained by this recipe, defended, on this many private images may claim."""
        ...
