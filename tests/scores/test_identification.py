"""Ranks, against sorting by hand."""

import numpy as np
import pytest

from loraleak.scores import gallery_ranks, recognised
from loraleak.types import Sightings


def _units(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rank_is_the_place_in_the_sorted_gallery(dtype: type) -> None:
    rng = np.random.default_rng(0)
    probes, gallery = _units(rng, 6, 8).astype(dtype), _units(rng, 50, 8).astype(dtype)
    for identity in (0, 17, 49):
        by_hand = [
            sorted(range(50), key=lambda person: -float(np.dot(probe, gallery[person]))).index(identity) for probe in probes
        ]
        assert gallery_ranks(probes, gallery, identity).tolist() == by_hand


def test_the_very_picture_is_found_first_and_its_opposite_last() -> None:
    gallery = _units(np.random.default_rng(1), 30, 16)
    assert gallery_ranks(gallery[[4]], gallery, 4).tolist() == [0]
    assert gallery_ranks(-gallery[[4]], gallery, 4).tolist() == [29]


@pytest.mark.parametrize("people", [2, 10, 50, 203])
@pytest.mark.parametrize("dim", [16, 64, 129])
def test_an_embedder_that_returns_a_constant_scores_nothing(people: int, dim: int) -> None:
    """Whatever the shapes, for which products of matrices round equal rows unequally."""
    constant = _units(np.random.default_rng(2), 1, dim).astype(np.float32)
    for probes in (1, 5, 8, 17):
        for identity in (0, people // 2, people - 1):
            ranks = gallery_ranks(np.repeat(constant, probes, axis=0), np.repeat(constant, people, axis=0), identity)
            assert ranks.tolist() == [people - 1] * probes


def test_strangers_are_found_as_often_as_chance() -> None:
    rng = np.random.default_rng(3)
    ranks = gallery_ranks(_units(rng, 4000, 16), _units(rng, 10, 16), 3)
    assert ranks.min() >= 0 and ranks.max() <= 9
    # which gallery person lies near to most probes is luck; over all of them the share is exactly one in ten
    probes, gallery = _units(rng, 500, 16), _units(rng, 10, 16)
    hits = [(gallery_ranks(probes, gallery, identity) == 0).mean() for identity in range(10)]
    assert np.sum(hits) == pytest.approx(1.0)


def test_a_gallery_of_one_person_is_always_a_hit() -> None:
    rng = np.random.default_rng(4)
    assert gallery_ranks(_units(rng, 3, 8), _units(rng, 1, 8), 0).tolist() == [0, 0, 0]


def test_a_picture_is_recognised_as_the_person_whose_photos_are_nearest() -> None:
    rng = np.random.default_rng(3)
    centres = _units(rng, 20, 32).astype(np.float32)
    photos = [np.stack([centre, centre]) for centre in centres]
    faces = [centres[[0]], centres[[7, 0]], centres[[7]], centres[[7]], centres[[3]], np.zeros((0, 32), np.float32)]
    # the second picture shows two people and is as near to both, the last shows nobody
    owner, others = recognised(Sightings.of(faces), photos[0], photos[1:])
    assert owner.tolist() == [True, False, False, False, False, False]
    assert others[6] == 2 and others[2] == 1 and others.sum() == 3
