"""Post-hoc defences one after another."""

from dataclasses import dataclass
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import PostHoc
from loraleak.types import Adapter

__all__ = ["Chain"]


@dataclass(frozen=True)
class Chain:
    """Each defence gets what the one before it made."""

    name: ClassVar[str] = "chain"
    links: tuple[PostHoc, ...]

    @property
    def says(self) -> str:
        return " Then: ".join(link.says for link in self.links)

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        for link in self.links:
            adapter = link.apply(adapter, base)
        return adapter
