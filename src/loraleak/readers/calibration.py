"""Whether a stated confidence is right."""

import numpy as np
from jaxtyping import Bool, Float, Int

from loraleak.types import Interval

__all__ = ["calibration_error", "error_with_interval"]

_BINS = 10
_RESAMPLES = 2000


def calibration_error(stated: Float[np.ndarray, " answers"], right: Bool[np.ndarray, " answers"]) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean distance between confidence and share of right answers over ten
    bins of confidence, each with its share of the answers as weight.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False])), 3)
    0.1
    """
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, stated, _BINS) - np.bincount(bins, right.astype(float), _BINS)
    return float(np.abs(gaps).sum() / len(stated))


def error_with_interval(
    stated: Float[np.ndarray, "people traits"], right: Bool[np.ndarray, "people traits"], *, seed: int = 0
) -> Interval:
    """The calibration error over all answers, with a bootstrap interval over people."""

    def figure(rows: Int[np.ndarray, " drawn"]) -> float:
        return calibration_error(stated[rows].ravel(), right[rows].ravel())

    rng = np.random.default_rng(seed)
    count = len(stated)
    drawn = [figure(rng.integers(count, size=count)) for _ in range(_RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(figure(np.arange(count)), float(low), float(high))
