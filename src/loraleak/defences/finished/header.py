"""Removal of private fields from the header."""

from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.adapters import public_metadata
from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import PostHoc
from loraleak.types import Adapter

__all__ = ["MetadataScrub"]


@dataclass(frozen=True)
class MetadataScrub(PostHoc):
    """Keeps the header's fields that loaders need, and no other (`loraleak.adapters.public`); the factors stay as they are."""

    name: ClassVar[str] = "metadata-scrub"
    says: ClassVar[str] = (
        "Removes names, folders, captions, counts and times from the file's header; the weights stay as they are."
    )

    def changes_weights(self, adapter: Adapter) -> bool:
        return False

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        kept, _ = public_metadata(adapter.metadata)
        return replace(adapter, metadata=kept, format="memory", sha256="")
