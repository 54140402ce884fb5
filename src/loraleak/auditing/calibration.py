"""A probability for people who ask for one: the likelihood ratio of an audit's statistic, calibrated on files whose truth is known.

The statistic is that of the test among other people. Its likelihood ratio compares files that give a person away with files of
somebody else; a prior, which the reader chooses, turns it into a posterior.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit, logit

from loraleak.kits import Calibration, Kit, SamplingSetup

__all__ = ["Reliability", "calibration_for", "fit_calibration", "posterior", "reliability", "rounded"]

_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Stated probabilities beside what was true, in bins of the stated probability, at a prior of one half."""

    stated: tuple[float, ...]
    """Mean stated probability of each bin."""
    seen: tuple[float, ...]
    """Share of leaking files in each bin."""
    share: tuple[float, ...]
    """Share of all audits that fall into each bin."""

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, eq. 3)."""
        return float(sum(w * abs(p - q) for p, q, w in zip(self.stated, self.seen, self.share, strict=True)))


def fit_calibration(
    leaking: Float[np.ndarray, " files"],
    others: Float[np.ndarray, " audits"],
    sampling: SamplingSetup,
    attacks: Sequence[str],
    *,
    images: int,
    photos: int,
) -> Calibration:
    """Logistic regression of the truth on the statistic, both classes weighing the same (Platt 1999, with its smoothed targets)."""
    values = np.concatenate([leaking, others])
    high, low = (len(leaking) + 1) / (len(leaking) + 2), 1 / (len(others) + 2)
    targets = np.concatenate([np.full(len(leaking), high), np.full(len(others), low)])
    weights = np.concatenate([np.full(len(leaking), 0.5 / len(leaking)), np.full(len(others), 0.5 / len(others))])

    def loss(line: Float[np.ndarray, "2"]) -> float:
        score = line[0] + line[1] * values
        return float((weights * (np.logaddexp(0, score) - targets * score)).sum())

    intercept, slope = minimize(loss, np.zeros(2)).x
    return Calibration(sampling, tuple(attacks), images, photos, float(intercept), float(slope), len(leaking) + 1.0)


def posterior(calibration: Calibration, statistic: Float[np.ndarray, " audits"], prior: float) -> Float[np.ndarray, " audits"]:
    """Probability that each file gives its person away, given the statistic of its audit and the prior."""
    bound = np.log(calibration.limit)
    ratio = np.clip(calibration.intercept + calibration.slope * statistic, -bound, bound)
    probability: np.ndarray = expit(logit(prior) + ratio)
    return probability


def reliability(leaking: Float[np.ndarray, " files"], others: Float[np.ndarray, " audits"]) -> Reliability:
    """Probabilities that were stated at a prior of one half, of files that leak and of audits of somebody else, beside the truth.

    The fit must not have seen them. Both classes weigh the same.
    """
    stated = np.concatenate([leaking, others])
    truth = np.repeat([1.0, 0.0], [len(leaking), len(others)])
    weights = np.repeat([0.5 / len(leaking), 0.5 / len(others)], [len(leaking), len(others)])
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    filled = [bins == i for i in range(_BINS) if (bins == i).any()]
    shares = [float(weights[inside].sum()) for inside in filled]
    return Reliability(
        tuple(float((weights * stated)[i].sum() / share) for i, share in zip(filled, shares, strict=True)),
        tuple(float((weights * truth)[i].sum() / share) for i, share in zip(filled, shares, strict=True)),
        tuple(shares),
    )


def calibration_for(
    kit: Kit | None, sampling: SamplingSetup, attacks: Sequence[str], *, images: int, photos: int
) -> Calibration | None:
    """The kit's calibration, if it holds for this way of auditing; else None."""
    calibration = None if kit is None else kit.calibration
    if calibration is None:
        return None
    same = calibration.sampling == sampling and set(calibration.attacks) == set(attacks)
    return calibration if same and images >= calibration.images and photos >= calibration.photos else None


def rounded(calibration: Calibration) -> Calibration:
    """The calibration with as many digits as are worth keeping."""
    return replace(
        calibration, **{name: round(getattr(calibration, name), 4) for name in ("intercept", "slope", "limit", "error")}
    )
