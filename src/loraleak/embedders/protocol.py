"""The protocol of embedders: images in, unit vectors out. Their raw cosine is the native scale."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from loraleak.types import Picture, Sightings

__all__ = ["Embedder"]


@runtime_checkable
class Embedder(Protocol):
    """A map from RGB images of any size to unit vectors: one for each image, or one for each person that it finds there."""

    @property
    def name(self) -> str:
        """A name that tells model and version, for reports."""
        ...

    @property
    def same_person(self) -> float | None:
        """The published raw cosine from which two vectors count as one person; None where the model has none."""
        ...

    def embed(self, images: Sequence[Picture]) -> Sightings:
        """Unit vectors in the order of the images, of which there is at least one. An image that shows nobody has none."""
        ...
