"""The privacy loss of a whole group of images, where Poisson sampling takes a binomial number of them at every step."""

from dataclasses import dataclass
from functools import cached_property
from math import inf, log, sqrt

import numpy as np
from jaxtyping import Float
from scipy.special import log_ndtr
from scipy.stats import binom

from loraleak.errors import MissingExtraError

__all__ = ["MAX_LOSS", "SHARE", "GroupLoss", "group_epsilon"]

MAX_LOSS = 600.0
"""Largest loss that `exp` can hold. Above it the Renyi bound is used."""

SHARE = 0.005
"""Share of epsilon that the discretisation of the privacy loss may add to it."""

_ORDERS = np.concatenate([1 + np.geomspace(0.02, 1, 12), np.geomspace(2.5, 64, 14)])


@dataclass(frozen=True)
class GroupLoss:
    """The loss of one step: P, a mixture of N(j, sigma^2) with binomial weights, against Q, N(0, sigma^2) (Ganesh 2024, arXiv
    2401.10294).

    The privacy random variable is `log P/Q` of a draw from P (the group is taken away), or, turned, `log Q/P` of one from Q (it
    is added). `log P/Q` rises with x, so its distribution is that of x through the inverse. Opacus's composition calls the
    methods by these names.
    """

    noise_multiplier: float
    rate: float
    group: int
    turned: bool = False

    @cached_property
    def _parts(self) -> tuple[Float[np.ndarray, " parts"], Float[np.ndarray, " parts"]]:
        """Numbers of images that take part, and the logarithms of their probabilities."""
        counts = np.arange(self.group + 1)
        weights = binom.logpmf(counts, self.group, self.rate)
        seen = weights > -200
        return counts[seen].astype(float), weights[seen]

    @cached_property
    def _grid(self) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        reach = 40 * self.noise_multiplier
        x = np.arange(-reach, self._parts[0][-1] * (1 + _ORDERS[-1]) + reach, self.noise_multiplier / 8)
        return x, self._loss(x)

    def _loss(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """`log P(x) / Q(x)`."""
        counts, weights = self._parts
        ratio = (x[:, None] - counts / 2) * counts / self.noise_multiplier**2
        found: Float[np.ndarray, " points"] = np.logaddexp.reduce(weights + ratio, axis=1)
        return found

    def _inverse(self, loss: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """The x with this loss `log P/Q`, or minus infinity where it is never so low. Newton's method starts from a table."""
        counts, weights = self._parts
        grid, values = self._grid
        x = np.interp(loss, values, grid)
        low = loss <= max(values[0], weights[0] if counts[0] == 0 else -inf)
        going = np.flatnonzero(~low)
        for _ in range(60):
            ratio = weights + (x[going, None] - counts / 2) * counts / self.noise_multiplier**2
            here = np.logaddexp.reduce(ratio, axis=1)
            slope = (np.exp(ratio - here[:, None]) * counts).sum(1) / self.noise_multiplier**2
            off = here - loss[going]
            x[going] -= np.clip(off / np.maximum(slope, 1e-300), -self.noise_multiplier, self.noise_multiplier)
            going = going[np.abs(off) > 1e-12 * np.maximum(1, np.abs(here))]
            if not len(going):
                break
        return np.where(low, -inf, x)

    def cdf(self, t: Float[np.ndarray, "*points"] | float) -> Float[np.ndarray, "*points"]:
        """Probability that the loss is at most `t`."""
        where = np.atleast_1d(np.asarray(t, dtype=float))
        sigma = self.noise_multiplier
        if self.turned:
            chance = np.exp(log_ndtr(-self._inverse(-where) / sigma))
        else:
            counts, weights = self._parts
            chance = np.exp(np.logaddexp.reduce(weights + log_ndtr((self._inverse(where)[:, None] - counts) / sigma), axis=1))
        return chance.reshape(np.shape(t))

    def renyi(self) -> Float[np.ndarray, " orders"]:
        """Renyi divergences of the orders that the bounds use, by the trapezoidal rule."""
        x, loss = self._grid
        sigma = self.noise_multiplier
        normal = -((x / sigma) ** 2) / 2 - log(sigma * sqrt(2 * np.pi)) + log(x[1] - x[0])
        powers = 1 - _ORDERS if self.turned else _ORDERS
        return np.array([np.logaddexp.reduce(normal + power * loss) for power in powers]) / (_ORDERS - 1)


def group_epsilon(loss: GroupLoss, steps: int, delta: float) -> float:
    """Epsilon of `steps` steps: the larger of that for taking the group away and that for adding it."""
    return max(
        _epsilon(GroupLoss(loss.noise_multiplier, loss.rate, loss.group, turned), steps, delta) for turned in (False, True)
    )


def _epsilon(loss: GroupLoss, steps: int, delta: float) -> float:
    try:
        from opacus.accountants.analysis.prv import Domain, TruncatedPrivacyRandomVariable, compose_heterogeneous, discretize
    except ModuleNotFoundError as error:
        raise MissingExtraError("accounting needs Opacus: run pip install 'loraleak[private]'") from error
    divergence = loss.renyi()
    bound = _converted(divergence * steps, delta)
    eps_error, delta_error = min(0.5, SHARE * bound), delta / 1000
    reach = 3 + max(_converted(divergence * steps, delta_error / 4), _converted(divergence, delta_error / (8 * steps)))
    if reach > MAX_LOSS:
        return bound
    mesh = eps_error / sqrt(steps * log(12 / delta_error) / 2)
    domain = Domain.create_aligned(-reach, reach, mesh)
    try:
        with np.errstate(all="ignore"):
            discrete = discretize(TruncatedPrivacyRandomVariable(loss, -reach, reach), domain)
            composed = compose_heterogeneous([discrete], [steps])
            tight = float(composed.compute_epsilon(delta, delta_error, eps_error)[2])
    except (RuntimeError, ValueError):  # the discretised loss is too coarse or too large
        return bound
    return min(max(tight, 0.0), bound)


def _converted(divergence: Float[np.ndarray, " orders"], delta: float) -> float:
    """Epsilon at this delta from Renyi divergences (Balle et al. 2020, theorem 21)."""
    found = divergence - (log(delta) + np.log(_ORDERS)) / (_ORDERS - 1) + np.log1p(-1 / _ORDERS)
    return max(float(found.min()), 0.0)
