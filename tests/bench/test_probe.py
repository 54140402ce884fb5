"""The probe's regression against its slow definition."""

import numpy as np

from loraleak.bench.probe import ridge


def _by_refitting(features: np.ndarray, labels: list[str], others: np.ndarray) -> list[str]:
    """Primal ridge; its strength by leaving each person out in turn."""
    names = sorted(set(labels))
    target = np.array([[float(label == name) for name in names] for label in labels])

    def fit(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
        return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)

    seen, mean = features - features.mean(0), target.mean(0)
    scale = np.linalg.eigvalsh(seen @ seen.T).mean()
    errors = {}
    for strength in (10.0**power * scale for power in range(-4, 2)):
        residuals = [
            target[i] - mean - seen[i] @ fit(np.delete(seen, i, 0), np.delete(target - mean, i, 0), strength)
            for i in range(len(seen))
        ]
        errors[strength] = np.square(residuals).mean()
    best = min(errors, key=lambda strength: errors[strength])
    scores = (others - features.mean(0)) @ fit(seen, target - mean, best) + mean
    return [names[i] for i in scores.argmax(1)]


def test_ridge_is_ridge_with_leave_one_out() -> None:
    rng = np.random.default_rng(0)
    for size in (5, 60):
        truth = rng.standard_normal((size, 3))
        features, others = rng.standard_normal((40, size)), rng.standard_normal((30, size))
        labels = [("red", "green", "blue")[i] for i in (features @ truth).argmax(1)]
        assert ridge(features, labels, others) == _by_refitting(features, labels, others)
