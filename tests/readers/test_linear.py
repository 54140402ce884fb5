"""Ridge regression beside a fit without the person."""

import numpy as np
import pytest

from loraleak.readers.linear import fit


def test_left_out_predictions_are_those_of_a_fit_without_the_person() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 2)
    features = np.repeat(rng.standard_normal((12, 5)), 2, 0) + 0.1 * rng.standard_normal((24, 5))
    targets = features[:, :1] * 2 + 1 + 0.3 * rng.standard_normal((24, 1))
    found = fit(features, targets, people)
    centre = features.mean(0)
    scale = np.square(features - centre).sum(1).mean()
    shown = np.hstack([features - centre, np.full((24, 1), 3 * scale**0.5)])

    def solved(rows: np.ndarray, penalty: float) -> np.ndarray:
        gram = shown[rows].T @ shown[rows] + penalty * scale * np.eye(6)
        weights: np.ndarray = np.linalg.solve(gram, shown[rows].T @ targets[rows])
        return weights

    slow = {}
    for penalty in 10.0 ** np.arange(-4, 1.5, 0.5):
        slow[penalty] = np.concatenate([shown[people == p] @ solved(people != p, penalty) for p in range(12)])
    best = min(slow, key=lambda penalty: float(np.square(slow[penalty] - targets).mean()))
    assert found.left_out == pytest.approx(slow[best], abs=1e-8)
    assert features @ found.weights + found.intercept == pytest.approx(shown @ solved(people >= 0, best), abs=1e-8)


def test_noise_is_not_known_when_it_is_left_out() -> None:
    """With the mean of all rows as intercept, more features than rows would tell each row from the others."""
    rng = np.random.default_rng(1)
    found = fit(rng.standard_normal((40, 400)), rng.choice([0.0, 1.0], (40, 1)), np.arange(40))
    assert np.square(found.left_out - 0.5).mean() < 0.1
