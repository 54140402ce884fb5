"""Similarity against plain loops and closed forms."""

import numpy as np
import pytest

from loraleak.scores import evidence, mean_cosine, template

DIM = 16


def _units(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_mean_cosine_is_the_mean_over_photos() -> None:
    rng = np.random.default_rng(11)
    pictures, photos = _units(rng.standard_normal((3, DIM))), _units(rng.standard_normal((5, DIM)))
    for picture, value in zip(pictures, mean_cosine(pictures, photos), strict=True):
        assert value == pytest.approx(np.mean([picture @ photo for photo in photos]), abs=1e-6)


def test_a_template_is_the_direction_of_the_mean() -> None:
    photos = _units(np.random.default_rng(12).standard_normal((5, DIM)))
    mean = template(photos)
    assert np.linalg.norm(mean) == pytest.approx(1)
    assert mean @ photos.sum(axis=0) == pytest.approx(np.linalg.norm(photos.sum(axis=0)), rel=1e-5)
    assert not template(np.zeros((2, DIM), np.float32)).any()


def test_evidence_is_the_z_norm_by_loops() -> None:
    rng = np.random.default_rng(13)
    images, photos, cohort = (rng.standard_normal(shape) for shape in ((3, 4, DIM), (DIM,), (6, DIM)))
    for adapter, value in zip(images, evidence(images, photos, cohort), strict=True):
        to_others = [np.mean([picture @ other for picture in adapter]) for other in cohort]
        to_photos = np.mean([picture @ photos for picture in adapter])
        assert value == pytest.approx((to_photos - np.mean(to_others)) / np.std(to_others))
    assert evidence(images[0], photos, cohort).shape == ()
