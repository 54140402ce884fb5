"""The exposure of single photos, against loops."""

import numpy as np
import pytest

from loraleak.scores import exposure


def _units(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_exposure_is_the_best_cosine_to_any_reconstruction() -> None:
    rng = np.random.default_rng(0)
    made, photos = _units(rng, 9, 12), _units(rng, 4, 12)
    by_hand = [max(float(np.dot(picture, photo)) for picture in made) for photo in photos]
    assert exposure(made, photos) == pytest.approx(by_hand, abs=1e-6)


def test_a_copied_photo_stands_out() -> None:
    rng = np.random.default_rng(1)
    photos = _units(rng, 5, 64)
    made = np.concatenate([_units(rng, 7, 64), photos[[3]]])
    exposed = exposure(made, photos)
    assert exposed.argmax() == 3 and exposed[3] == pytest.approx(1, abs=1e-6)
    assert np.delete(exposed, 3).max() < 0.6


def test_more_reconstructions_never_lower_it() -> None:
    rng = np.random.default_rng(2)
    made, photos = _units(rng, 10, 8), _units(rng, 6, 8)
    assert (exposure(made, photos) >= exposure(made[:4], photos)).all()
