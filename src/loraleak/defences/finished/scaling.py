"""Scaling: the same update, weaker."""

from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling(PostHoc):
    """The change `dW -> factor dW`, made in B. The scale itself stays as it is in the file, also where the file has none."""

    name: ClassVar[str] = "scaling"
    says: ClassVar[str] = "Weakens all that was learned. Anybody can turn it up again, so it hides little."
    factor: float = 0.5
    """Factor of the whole update; 1 changes nothing."""

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise UsageError(f"scaling: factor is {self.factor}, give a number above 0 and up to 1")

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return by_module(adapter, lambda _, pair: replace(pair, up=pair.up * self.factor))
