"""Ridge regression from features of adapters, judged on people who are left out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Fit", "fit"]

_PENALTIES = tuple(10.0**power for power in np.arange(-4, 1.5, 0.5))
_CONSTANT = 3.0
"""The constant feature, in units of the root of the mean squared norm of a row."""
_TINY = 1e-12


@dataclass(frozen=True)
class Fit:
    """`features @ weights + intercept`, and what it says of each row when that row's person is left out."""

    weights: Float[np.ndarray, "features targets"]
    intercept: Float[np.ndarray, " targets"]
    left_out: Float[np.ndarray, "rows targets"]


def fit(
    features: Float[np.ndarray, "rows features"],
    targets: Float[np.ndarray, "rows targets"],
    people: Int[np.ndarray, " rows"],
) -> Fit:
    """Ridge regression in its dual form, with the penalty whose error on left-out people is least.

    Rows of one person are left out together: their residuals are `G_PP^-1 alpha_P`, where `G = (K + lambda I)^-1` and `alpha = G y`
    (Rifkin and Lippert 2007, in blocks). The intercept is a constant feature. With means of all rows in its place, a row would be
    known as what the others lack.
    """
    centre = features.mean(0)
    seen = (features - centre).astype(np.float64)
    scale = float(np.square(seen).sum(1).mean()) + _TINY
    constant = _CONSTANT * scale**0.5
    shown, wanted = np.hstack([seen, np.full((len(seen), 1), constant)]), targets.astype(np.float64)
    values, vectors = np.linalg.eigh(shown @ shown.T)
    turned = vectors.T @ wanted
    groups = [np.flatnonzero(people == person) for person in np.unique(people)]
    best, kept = np.inf, (wanted, wanted)
    for penalty in _PENALTIES:
        inverse = 1 / (values.clip(0) + penalty * scale)
        dual = vectors @ (inverse[:, None] * turned)
        residuals = np.empty_like(dual)
        for rows in groups:
            block = (vectors[rows] * inverse) @ vectors[rows].T
            residuals[rows] = np.linalg.solve(block, dual[rows])
        error = float(np.square(residuals).mean())
        if error < best:
            best, kept = error, (dual, residuals)
    dual, residuals = kept
    weights = seen.T @ dual
    return Fit(weights, constant * constant * dual.sum(0) - centre @ weights, wanted - residuals)
