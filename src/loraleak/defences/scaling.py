"""Scaling: the same update, weaker."""

from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.types import Adapter

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """`dW -> factor dW`, by way of B: the scale itself stays as the file tells it, or does not tell it."""

    name: ClassVar[str] = "scaling"
    factor: float = 0.5
    """Of the whole update; 1 changes nothing."""

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise UsageError(f"scaling: factor is {self.factor}, give a number above 0 and up to 1")

    @property
    def says(self) -> str:
        return (
            f"Weakens all that was learned to {self.factor:g} of its strength. "
            "Whoever guesses the factor undoes it, so it hides little."
        )

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        factors = {name: replace(f, up=f.up * self.factor) for name, f in adapter.factors.items()}
        return replace(adapter, factors=factors, format="memory", sha256="")
