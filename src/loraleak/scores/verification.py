"""Verification: whether two images show the same person, from one similarity."""

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

__all__ = ["accept_threshold", "auc", "true_accept_rate"]


def auc(genuine: Float[np.ndarray, " pairs"], impostor: Float[np.ndarray, " others"]) -> float:
    """The chance that a genuine pair is more similar than an impostor pair, ties counting half (Mann and Whitney 1947).

    >>> auc(np.array([0.9, 0.5]), np.array([0.1, 0.5]))
    0.875
    """
    ranks = rankdata(np.concatenate([genuine, impostor]))
    n, m = len(genuine), len(impostor)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def true_accept_rate(
    genuine: Float[np.ndarray, " pairs"], impostor: Float[np.ndarray, " others"], false_accepts: float = 0.01
) -> float:
    """Share of genuine pairs above the threshold that lets `false_accepts` of the impostor pairs through."""
    return float((genuine > accept_threshold(impostor, false_accepts)).mean())


def accept_threshold(impostor: Float[np.ndarray, " others"], false_accepts: float = 0.01) -> float:
    """The smallest observed similarity that at most this share of impostor pairs exceeds."""
    ordered = np.sort(impostor)
    accepted = int(false_accepts * len(ordered) + 1e-9)  # 0.29 * 100 is 28.999...
    return float(ordered[max(len(ordered) - 1 - accepted, 0)])
