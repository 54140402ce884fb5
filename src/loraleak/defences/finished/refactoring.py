"""Random re-factoring, a placebo: the same update in other numbers."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module, generator_for
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors

__all__ = ["RandomRefactoring"]


@dataclass(frozen=True)
class RandomRefactoring(PostHoc):
    """The change `B -> B M^-1`, `A -> M A` with a random invertible M. `dW`, and so every picture, stays as it was.

    `M = P diag(s) Q`, where P and Q are orthogonal and uniform, and s is between 1/2 and 2, so that float32 loses little. It
    stops an attack that reads A and B as they are (`published`), and none that reads their product (`invariant`).
    """

    name: ClassVar[str] = "random-refactoring"
    says: ClassVar[str] = (
        "A placebo: writes the same update in other numbers. Every picture stays as it was, and an attack that reads the update itself "
        "sees no difference."
    )
    seed: int = 0
    """Seed of M."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"random-refactoring: seed is {self.seed}, give at least 0")

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return by_module(adapter, self._refactored)

    def _refactored(self, name: str, pair: Factors) -> Factors:
        generator = generator_for(self.seed, name, pair)
        rank = pair.rank
        first, second = (_orthogonal(rank, generator) for _ in range(2))
        stretch = 4.0 ** torch.rand(rank, generator=generator, dtype=torch.float64) / 2
        down = (first * stretch) @ second @ pair.down.double().reshape(rank, -1)
        up = pair.up.double().reshape(-1, rank) @ second.T @ (first / stretch).T
        return replace(pair, down=down.to(pair.down).view_as(pair.down), up=up.to(pair.up).view_as(pair.up))


def _orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    """A matrix that is uniform over the orthogonal ones (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()
