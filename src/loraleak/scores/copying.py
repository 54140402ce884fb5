"""How near pictures came to single photos."""

import numpy as np
from jaxtyping import Float

from loraleak.types import Embeddings

__all__ = ["exposure"]


def exposure(reconstructions: Embeddings, photos: Float[np.ndarray, "photos dim"]) -> Float[np.ndarray, " photos"]:
    """For each photo, the highest raw cosine to any reconstruction (average similarity's first step, AS in the extraction
    literature)."""
    best: np.ndarray = (reconstructions @ photos.T).max(axis=0)
    return best
