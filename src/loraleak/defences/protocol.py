"""What a defence is: a change to a finished adapter (post-hoc), or to fine-tuning itself (training-time).

A defence derives from one of the two protocols, declares what differs from their defaults, and is a frozen dataclass whose fields are
its settings.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from loraleak.bases import DiffusersBase
from loraleak.defences.guarantee import NO_PROMISE, Guarantee
from loraleak.finetuning import Job, Recipe, Snapshot
from loraleak.types import Adapter

__all__ = ["Defence", "PostHoc", "TrainingTime"]


@runtime_checkable
class PostHoc(Protocol):
    """Maps an adapter to an adapter."""

    stage: ClassVar[Literal["post-hoc"]] = "post-hoc"

    @property
    def name(self) -> str: ...

    @property
    def says(self) -> str:
        """One plain sentence for an owner: what it does to the file."""
        ...

    @property
    def needs_base(self) -> bool:
        """Whether `apply` looks at the base."""
        return False

    @property
    def links(self) -> "tuple[Defence, ...]":
        """Of a chain, the defences that it consists of, in order; of any other, itself."""
        return (self,)

    def changes_weights(self, adapter: Adapter) -> bool:
        """Whether this adapter's weights would be others."""
        return True

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        """The defended adapter; equal settings, seed included, give equal adapters.

        Raises: UsageError, if the defence needs the base and there is none; BaseMismatchError, if the adapter does not fit it.
        """
        ...


@runtime_checkable
class TrainingTime(Protocol):
    """Changes the recipe, or what a step does."""

    stage: ClassVar[Literal["training-time"]] = "training-time"

    @property
    def name(self) -> str: ...

    @property
    def says(self) -> str:
        """One plain sentence for an owner: what it does to the training."""
        ...

    @property
    def recipe_only(self) -> bool:
        """Whether `defended` is all that it does, so that it can stand in a chain before a defence that changes what a step does."""
        return False

    @property
    def links(self) -> "tuple[Defence, ...]":
        """Of a chain, the defences that it consists of, in order; of any other, itself."""
        return (self,)

    def defended(self, recipe: Recipe) -> Recipe:
        """The recipe that is trained in the place of this one; the same where the defence changes only what a step does."""
        return recipe

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """As `loraleak.finetuning.stacked.finetune_together`, defended."""
        ...

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """What an adapter trained by this recipe, defended, on this many private images may claim.

        No epsilon is stated where the recipe's seed is not secret (`loraleak.finetuning.secrecy`).
        """
        return NO_PROMISE


Defence: TypeAlias = PostHoc | TrainingTime
