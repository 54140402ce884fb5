"""Closed-set identification: where does the right person stand among the gallery?"""

import numpy as np
from jaxtyping import Float, Int

from loraleak.types import Embeddings

__all__ = ["gallery_ranks"]

_ROUNDING = 1e-6


def gallery_ranks(probes: Embeddings, gallery: Float[np.ndarray, "people dim"], identity: int) -> Int[np.ndarray, " images"]:
    """For each probe, how many people of the gallery are at least as similar as the right one (0: rank-1 hit).

    A tie, to rounding, counts against the probe, so that an embedder that returns a constant scores nothing.
    """
    similarity = probes @ gallery.T
    ranks: np.ndarray = (similarity >= similarity[:, [identity]] - _ROUNDING).sum(axis=1) - 1
    return ranks.astype(np.int64)
