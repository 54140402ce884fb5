"""The update itself, formed: what defences that never form it are held against."""

import numpy as np

from loraleak.types import Factors

__all__ = ["dense", "truncated"]


def dense(pair: Factors) -> np.ndarray:
    """`up @ down` without the scale, `[d_out, width]`, in float64; entry by entry for a convolution, whose `up` is 1 x 1."""
    up = pair.up.double().numpy().reshape(pair.up.shape[0], -1)
    return np.einsum("or,r...->o...", up, pair.down.double().numpy()).reshape(len(up), -1)


def truncated(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The nearest matrix of this rank."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank])
