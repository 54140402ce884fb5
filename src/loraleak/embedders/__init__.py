"""Embedders. In: RGB images. Out: unit vectors, whose inner product is the raw cosine."""

from loraleak.embedders.names import load_embedder
from loraleak.embedders.protocol import Embedder

__all__ = ["Embedder", "load_embedder"]
