"""Similarity of pictures to the photos of one person: a mean, a template, and evidence against a cohort of other people."""

import numpy as np
from jaxtyping import Float

from loraleak.types import Embeddings

__all__ = ["evidence", "mean_cosine", "template"]

_TINY = 1e-12
_BLIND = 1e-6
"""Spread of similarities to a cohort below which it is only rounding."""


def mean_cosine(pictures: Embeddings, photos: Float[np.ndarray, "photos dim"]) -> Float[np.ndarray, " pictures"]:
    """Mean raw cosine of each picture to the photos."""
    mean: np.ndarray = (pictures @ photos.T).astype(np.float64).mean(axis=1)
    return mean


def template(photos: Embeddings) -> Float[np.ndarray, " dim"]:
    """One unit vector for the photos of one person: their normalised mean."""
    mean = photos.mean(axis=0)
    unit: np.ndarray = mean / max(float(np.linalg.norm(mean)), _TINY)
    return unit


def evidence(
    images: Float[np.ndarray, "... images dim"],
    photos: Float[np.ndarray, " dim"],
    cohort: Float[np.ndarray, "people dim"],
) -> Float[np.ndarray, "..."]:
    """Similarity of pictures to a template, less that to a cohort of other people, in standard deviations over the cohort.

    It is zero for an embedder that cannot tell the people of the cohort apart.

    Source: Z-norm of speaker verification (Auckenthaler et al. 2000), averaged over the pictures.
    """
    centre = images.mean(axis=-2, dtype=np.float64)
    to_cohort = centre @ cohort.T
    spread = to_cohort.std(axis=-1)
    nearer = centre @ photos - to_cohort.mean(axis=-1)
    return np.where(spread > _BLIND, nearer / np.maximum(spread, _BLIND), 0.0)
