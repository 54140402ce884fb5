"""Rank truncation: every module keeps only its strongest singular channels."""

from dataclasses import dataclass
from typing import ClassVar

from loraleak.adapters import pair_of, thin_svd
from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors

__all__ = ["RankTruncation"]


@dataclass(frozen=True)
class RankTruncation(PostHoc):
    """The best approximation of each `dW` at a lower rank (Eckart and Young 1936), exact through the cores of the thin factors.

    A module whose rank is not above `rank` keeps its update. The result is in normal form.
    """

    name: ClassVar[str] = "rank-truncation"
    says: ClassVar[str] = "Keeps the strongest of the directions that each layer learned, and drops the finer ones."
    rank: int = 2
    """Singular channels that stay in each module."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UsageError(f"rank-truncation: rank is {self.rank}, give at least 1")

    def changes_weights(self, adapter: Adapter) -> bool:
        """Whether any module has a higher rank."""
        return self.rank < adapter.ranks[1]

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return by_module(adapter, self._truncated)

    def _truncated(self, _: str, pair: Factors) -> Factors:
        return pair_of(thin_svd(pair).channels(slice(self.rank)), pair)
