"""The probe's regression against its slow definition."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.bases import DiffusersBase
from loraleak.bench.bench_settings import ProbeSettings
from loraleak.bench.probe import probe_weights, ridge
from loraleak.errors import UsageError
from loraleak.people.identities import identities_in
from loraleak.zoo import RecipeRanges, Zoo, build_zoo, plan_zoo


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


def test_traits_of_people_of_a_folder_are_those_that_everybody_has(base: DiffusersBase, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "people"
    for i in range(20):
        home = folder / f"person-{i:02d}"
        home.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(home / "0.png")
        odd = ', "beard": "long"' if i else ""
        (home / "person.json").write_text(f'{{"attributes": {{"hair": "{("dark", "fair")[i % 2]}"{odd}}}}}')
    ranges = RecipeRanges(ranks=(1,), steps=(1, 1), images=(1, 1), batch=1, prior_batch=0, prior_share=0.0, snapshots=1)
    people = identities_in(folder)
    assert build_zoo(plan_zoo(people, ranges, together=10), folder, tmp_path / "zoo", base) == []
    settings = ProbeSettings(learned_from=(10,), unseen=10)
    results = probe_weights([Zoo(tmp_path / "zoo")], people, settings)
    assert results["classes"] == {"hair": 2} and set(results["knowledge"]["file"]["10"]) == {"hair", "all"}
    with pytest.raises(UsageError, match="person-00: in a zoo, and not among the people"):
        probe_weights([Zoo(tmp_path / "zoo")], people[1:], replace(settings))
    (folder / "person-03" / "person.json").unlink()
    with pytest.raises(UsageError, match=r"person-03.*it tells no traits"):
        probe_weights([Zoo(tmp_path / "zoo")], people, settings)
