"""The protocol of leaks: a question about the owner's data, what an attacker needs to answer it, and the answer with its null."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from loraleak.arms import Scene
from loraleak.bases.estimate import Estimate
from loraleak.readers import Readers
from loraleak.reporting.results import Answer
from loraleak.types import Picture

__all__ = ["Evidence", "Leak"]


@dataclass(frozen=True)
class Evidence:
    """What leaks are tested with, beside the scene."""

    photos: Sequence[Picture] = ()
    names: Sequence[str] = ()
    """Names of the photos, for the answer."""
    held_out: Sequence[Picture] = ()
    """Photos of the same person that the adapter was not trained on."""
    readers: Readers | None = None
    """Readers of weights of the kit; None where there are none."""


@runtime_checkable
class Leak(Protocol):
    """One thing that an adapter may give away."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str:
        """The question in an owner's words."""
        ...

    def lacks(self, scene: Scene, evidence: Evidence) -> str:
        """Why the question cannot be answered, and what to give; empty where it can."""
        ...

    def estimate(self, scene: Scene, evidence: Evidence) -> Estimate:
        """Time and memory that `answer` takes."""
        ...

    def answer(self, scene: Scene, evidence: Evidence) -> Answer:
        """The answer, with the null that it is compared with. The adapter is attached by the leak itself."""
        ...
