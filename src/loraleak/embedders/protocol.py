"""What every embedder is: images in, unit vectors out; raw cosine is the native scale."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from loraleak.types import Embeddings, Picture

__all__ = ["Embedder"]


@runtime_checkable
class Embedder(Protocol):
    """Maps RGB images of any size to unit vectors `[images, dim]`."""

    @property
    def name(self) -> str:
        """A name that tells model and version, for reports."""
        ...

    def embed(self, images: Sequence[Picture]) -> Embeddings:
        """Unit vectors in the order of the images.

        Raises: PhotosError, if an image has nothing to embed (a face embedder and a picture without a face).
        """
        ...
