"""The accountant: epsilon of Poisson-sampled Gaussian steps and of one Gaussian release, for an image or all of a person's.

Neighbours differ by one image, or by a group of images, that is there or not ("add or remove"). The number of private images,
the rate, the clip and the number of steps count as public. Noise multipliers are standard deviations, divided by the norm that
one image may have.
"""

import warnings
from collections.abc import Callable
from functools import cache
from math import exp, inf, log, sqrt
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr

from loraleak.defences.groups import MAX_LOSS, SHARE, GroupLoss, group_epsilon
from loraleak.errors import MissingExtraError, UsageError

__all__ = ["Subsampling", "gaussian_epsilon", "gaussian_noise", "noise_for", "sampled_epsilon"]

Subsampling = Literal["poisson", "shuffle"]

_HARDLY = 0.2
"""Noise multiplier below which a group is promised nothing, however rarely its images take part. All count as in every step."""

_MAX_LOG_NOISE = 10.0
"""Logarithm of the largest noise multiplier that is sought."""


@cache
def sampled_epsilon(
    noise_multiplier: float, rate: float, steps: int, delta: float, *, group: int = 1, sampling: Subsampling = "poisson"
) -> float:
    """Epsilon of `steps` sums of clipped gradients with Gaussian noise, where every image takes part with probability `rate`.

    For one image it is a numerical composition of privacy random variables (Gopi et al. 2021) by Opacus's accountant, or its
    Renyi bound where that is lower. For a `group` of images, the number of them in a step is binomial, and a mixture of
    Gaussians at 0, 1, ..., `group` dominates the step (Ganesh 2024, arXiv 2401.10294). It is composed in the same way. The
    adversary is taken to see every step. All results are upper bounds.

    Raises: UsageError, if sampling is not Poisson, or a number is out of range; MissingExtraError, without Opacus.
    """
    _check(sampling, delta, rate=rate)
    if steps < 1 or group < 1:
        raise UsageError(f"{steps} steps and a group of {group}: give at least 1 of each")
    if not noise_multiplier > 0:
        return inf
    if rate == 1 or (group > 1 and noise_multiplier < _HARDLY):
        return gaussian_epsilon(noise_multiplier / (group * sqrt(steps)), delta)
    if group == 1:
        return _opacus_epsilon(noise_multiplier, rate, steps, delta)
    return group_epsilon(GroupLoss(noise_multiplier, rate, group), steps, delta)


@cache
def noise_for(epsilon: float, rate: float, steps: int, delta: float, *, sampling: Subsampling = "poisson") -> float:
    """The least noise multiplier, to a thousandth, with which `sampled_epsilon` of one image is at most `epsilon`.

    Raises: as `sampled_epsilon`; UsageError too, if no noise multiplier up to 20,000 will do.
    """
    _check(sampling, delta, rate=rate, epsilon=epsilon)

    def over(logarithm: float) -> float:
        return log(sampled_epsilon(exp(logarithm), rate, steps, delta, sampling=sampling) / epsilon)

    low, high = -0.5, 0.5
    while over(high) > 0:
        low, high = high, high + 1
        if high > _MAX_LOG_NOISE:
            raise UsageError(f"epsilon {epsilon:g} needs a noise multiplier above 20,000: give a larger one, or fewer steps")
    while over(low) < 0:
        low, high = low - 1, low
    return _least(over, low, high, 5e-4)


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Epsilon of one Gaussian release, exactly (Balle and Wang 2018, theorem 8): the noise's deviation over the sensitivity."""
    _check("poisson", delta)
    if not noise_multiplier > 0:
        return inf

    def over(epsilon: float) -> float:
        return _gaussian_delta(noise_multiplier, epsilon) - delta

    if over(0.0) <= 0:
        return 0.0
    highest = 1.0
    while over(highest) > 0:
        highest *= 2
    return float(brentq(over, 0.0, highest, xtol=1e-9, rtol=1e-12))


def gaussian_noise(epsilon: float, delta: float) -> float:
    """The least noise multiplier with which one Gaussian release has this epsilon and delta (Balle and Wang 2018)."""
    _check("poisson", delta, epsilon=epsilon)

    def over(logarithm: float) -> float:
        return _gaussian_delta(exp(logarithm), epsilon) - delta

    return _least(over, log(1e-4), log(1e8), 1e-9)


def _gaussian_delta(noise_multiplier: float, epsilon: float) -> float:
    """Delta of one release: `Phi(1/(2s) - eps s) - e^eps Phi(-1/(2s) - eps s)`."""
    half, shift = 1 / (2 * noise_multiplier), epsilon * noise_multiplier
    return float(np.exp(log_ndtr(half - shift)) - np.exp(min(epsilon + log_ndtr(-half - shift), 0.0)))


def _opacus_epsilon(noise_multiplier: float, rate: float, steps: int, delta: float) -> float:
    try:
        from opacus.accountants import PRVAccountant, RDPAccountant
    except ModuleNotFoundError as error:
        raise MissingExtraError("accounting needs Opacus: run pip install 'loraleak[private]'") from error
    history = [(noise_multiplier, rate, steps)]
    renyi, numeric = RDPAccountant(), PRVAccountant()
    renyi.history = numeric.history = history
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # warnings of orders at the edge, and of tails that underflow
        bound = float(renyi.get_epsilon(delta))
        if bound > MAX_LOSS:
            return bound
        try:
            tight = float(numeric.get_epsilon(delta, eps_error=min(0.5, SHARE * bound)))
        except (RuntimeError, ValueError):  # the discretised loss is too coarse or too large
            return bound
    return tight if 0 <= tight < bound else bound


def _least(over: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """The noise multiplier at whose logarithm `over` falls to 0, or one that is larger by at most the share `tolerance`."""
    return exp(brentq(over, low, high, xtol=tolerance / 2) + tolerance / 2)


def _check(sampling: Subsampling, delta: float, *, rate: float = 1.0, epsilon: float = 1.0) -> None:
    if sampling != "poisson":
        raise UsageError(
            f"there is no epsilon for {sampling} sampling: the accountant holds where every image takes part by a coin of its own; "
            "train with sampling=poisson"
        )
    faults = [] if 0 < delta < 1 else [f"delta is {delta:g}, give a number between 0 and 1"]
    if not 0 < rate <= 1:
        faults.append(f"the sampling rate is {rate:g}, give one above 0 and up to 1")
    if not epsilon > 0:
        faults.append(f"epsilon is {epsilon:g}, it must be above 0")
    if faults:
        raise UsageError("; ".join(faults))
