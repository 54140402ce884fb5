"""The protocols of defences, which change a finished adapter (post-hoc) or fine-tuning itself (training-time).

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
    """A defence that maps an adapter to an adapter."""

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
        """The defences of a chain, in order. Any other defence has itself alone."""
        return (self,)

    def changes_weights(self, adapter: Adapter) -> bool:
        """Whether the defence changes this adapter's weights."""
        return True

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        """The defended adapter. Equal settings, with equal seeds, give equal adapters.

        Raises: UsageError, if the defence needs the base and there is none; BaseMismatchError, if the adapter does not fit it.
        """
        ...


@runtime_checkable
class TrainingTime(Protocol):
    """A defence that changes the recipe, or what a step does."""

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
    def needs_secret_seed(self) -> bool:
        """Whether whoever knows the recipe's seed can undo the defence, although it states no epsilon."""
        return False

    @property
    def links(self) -> "tuple[Defence, ...]":
        """The defences of a chain, in order. Any other defence has itself alone."""
        return (self,)

    def defended(self, recipe: Recipe) -> Recipe:
        """The recipe that is trained instead of this one. It stays the same where the defence changes only what a step does."""
        return recipe

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train one adapter for each job, like `loraleak.finetuning.stacked.finetune_together`, but with the defence."""
        ...

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Guarantee of an adapter that is trained with the defence, by this recipe, on this many private images.

        No epsilon is stated where the recipe's seed is not secret (`loraleak.finetuning.secrecy`).
        """
        return NO_PROMISE


Defence: TypeAlias = PostHoc | TrainingTime
