"""Exposure: how near pictures come to single photos."""

import numpy as np
from jaxtyping import Float

from loraleak.types import Embeddings

__all__ = ["exposure"]


def exposure(reconstructions: Embeddings, photos: Float[np.ndarray, "photos dim"]) -> Float[np.ndarray, " photos"]:
    """The highest raw cosine of each photo to any reconstruction (the first step of average similarity, AS in the extraction
    literature)."""
    best: np.ndarray = (reconstructions @ photos.T).max(axis=0)
    return best
