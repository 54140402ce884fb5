"""Intervals over victims: the percentile bootstrap (Efron and Tibshirani 1993), and the exact one of a share. The unit is the
victim, never the image."""

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from loraleak.types import Interval

__all__ = ["bootstrap_mean", "exact_share", "paired_difference"]


def bootstrap_mean(
    values: Float[np.ndarray, " victims"], *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """The mean over victims with its interval. A single value has an interval of no width."""
    values = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))


def paired_difference(
    values: Float[np.ndarray, " victims"], control: Float[np.ndarray, " victims"], *, seed: int = 0
) -> Interval:
    """The mean of `values - control`, victim by victim, with its interval."""
    return bootstrap_mean(np.asarray(values) - np.asarray(control), seed=seed)


def exact_share(count: int, victims: int) -> Interval:
    """The share of victims, with its exact 95% interval (Clopper and Pearson 1934), which has a width where all or none are counted.

    >>> round(exact_share(0, 4).high, 2)
    0.6
    """
    low, high = binomtest(count, victims).proportion_ci()
    return Interval(mean=count / victims, low=float(low), high=float(high))
