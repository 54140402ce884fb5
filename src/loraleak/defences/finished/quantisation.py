"""Quantisation: fewer bits for each number."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from loraleak.adapters import ThinSvd, pair_of, thin_svd
from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors

__all__ = ["Quantisation"]


@dataclass(frozen=True)
class Quantisation(PostHoc):
    """The singular vectors of each `dW`, rounded to `2^bits - 1` even steps between plus and minus their largest entry.

    Each vector has steps of its own, and their number is odd, so that zero stays zero and the sign of a vector does not matter.
    The normal form is rounded, so the result does not depend on how the file happens to write `dW` as B A. Numbers are still
    stored as float32.
    """

    name: ClassVar[str] = "quantisation"
    says: ClassVar[str] = "Rounds every number of what each layer learned to few bits."
    bits: int = 3

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise UsageError(f"quantisation: bits is {self.bits}, give 2 to 16")

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return by_module(adapter, self._rounded)

    def _rounded(self, _: str, pair: Factors) -> Factors:
        svd = thin_svd(pair)
        return pair_of(ThinSvd(_rounded(svd.left.T, self.bits).T, svd.values, _rounded(svd.right, self.bits)), pair)


def _rounded(rows: Float[Tensor, "rows width"], bits: int) -> Float[Tensor, "rows width"]:
    step = rows.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (rows / step).round() * step
