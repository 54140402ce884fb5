"""Whom pictures show, beside a search by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loraleak.scores import found, gallery_ranks, nearest, nearness
from loraleak.types import Sightings

COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=8)


def _drawn(counts: list[int], seed: int = 0, dim: int = 6) -> Sightings:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((sum(counts), dim))
    return Sightings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.array(counts))


def test_the_nearest_of_each_picture_counts() -> None:
    east, north = np.eye(2)
    sightings = Sightings.of([np.stack([east, north]), north[None], np.zeros((0, 2))])
    np.testing.assert_array_equal(nearest(sightings, north), [north, north, [0, 0]])
    np.testing.assert_array_equal(nearest(sightings, east), [east, north, [0, 0]])
    np.testing.assert_array_equal(found(sightings), [True, True, False])


def test_of_equals_the_first_counts() -> None:
    up, down = np.array([0.6, 0.8]), np.array([0.6, -0.8])
    np.testing.assert_array_equal(nearest(Sightings.of([np.stack([up, down])]), np.array([1.0, 0.0])), [up])
    np.testing.assert_array_equal(nearest(Sightings.of([np.stack([down, up])]), np.array([1.0, 0.0])), [down])


@given(COUNTS, st.integers(0, 99))
def test_it_is_the_search_by_hand(counts: list[int], seed: int) -> None:
    sightings, person = _drawn(counts, seed), _drawn([1], seed + 100).vectors[0]
    by_hand = [max(vectors, key=lambda v: float(v @ person)) if len(vectors) else np.zeros(6) for vectors in sightings]
    np.testing.assert_array_equal(nearest(sightings, person), by_hand)
    np.testing.assert_array_equal(found(sightings), [count > 0 for count in counts])


def test_one_vector_a_picture_is_kept_as_it_is() -> None:
    vectors = _drawn([1] * 5).vectors.astype(np.float32)
    same = nearest(Sightings.one_each(vectors), vectors[2])
    np.testing.assert_array_equal(same, vectors)
    assert same.dtype == np.float32


def test_a_picture_of_nobody_identifies_nobody() -> None:
    gallery = _drawn([1] * 9).vectors
    rows = nearest(Sightings.of([gallery[[3]], gallery[:0]]), gallery[3])
    np.testing.assert_array_equal(rows[1] @ gallery.T, 0)
    assert gallery_ranks(rows, gallery, 3).tolist() == [0, 8]


def test_nobody_anywhere() -> None:
    nobody = Sightings(np.zeros((0, 4), np.float32), np.zeros(3, np.int64))
    np.testing.assert_array_equal(nearest(nobody, np.ones(4)), np.zeros((3, 4)))
    assert not found(nobody).any()


def test_nearness_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(9)
    pictures = [rng.standard_normal((count, 5)).astype(np.float32) for count in (2, 0, 1, 3)]
    people = rng.standard_normal((4, 5))
    by_hand = [np.mean([max(vectors @ person) if len(vectors) else 0.0 for vectors in pictures]) for person in people]
    assert nearness(Sightings.of(pictures), people) == pytest.approx(by_hand, rel=1e-5)
    assert not nearness(Sightings.of([np.zeros((0, 5), np.float32)]), people).any()
