"""Who recurs on photos: closed forms, and what order may not change."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loraleak.errors import PhotosError
from loraleak.scores import Shown, left_out, recurring, template
from loraleak.types import Sightings

SAME = 0.4
ANN, BOB, EVE = np.eye(16)[:3]


def _look(person: np.ndarray, seed: int) -> np.ndarray:
    """A vector of this person: looks of one person agree at about .8, those of two people at about 0."""
    noise = np.random.default_rng(seed).standard_normal(16)
    vector = person + 0.5 * noise / np.linalg.norm(noise)
    return vector / np.linalg.norm(vector)


def _photos(*people: tuple[np.ndarray, ...]) -> Sightings:
    looks = [[_look(person, 10 * i + j) for j, person in enumerate(photo)] for i, photo in enumerate(people)]
    return Sightings.of([np.array(photo).reshape(-1, 16) for photo in looks])


def _people(shown: Shown) -> list[tuple[int, ...]]:
    return [shown.person.photos, *(other.photos for other in shown.bystanders)]


def test_portraits_and_a_group() -> None:
    shown = recurring(_photos((ANN,), (BOB, ANN, EVE), (ANN,), (ANN,)), SAME)
    assert dict(shown.person.faces) == {0: 0, 1: 1, 2: 0, 3: 0} and not shown.ambiguous
    assert [dict(other.faces) for other in shown.bystanders] == [{1: 0}, {1: 2}]
    assert shown.person.template @ ANN > 0.9
    np.testing.assert_allclose(shown.person.template, template(shown.person.vectors))


def test_a_bystander_on_several_photos_is_one_person() -> None:
    assert _people(recurring(_photos((ANN, BOB), (BOB,), (ANN,), (EVE, ANN)), SAME)) == [(0, 2, 3), (0, 1), (3,)]


def test_two_people_on_every_photo() -> None:
    shown = recurring(_photos((ANN, BOB), (BOB, ANN), (ANN, BOB)), SAME)
    assert shown.ambiguous and _people(shown) == [(0, 1, 2), (0, 1, 2)]
    assert {int(np.argmax(who.template)) for who in (shown.person, *shown.bystanders)} == {0, 1}


def test_two_people_on_half_of_the_photos_each_are_not_mixed() -> None:
    shown = recurring(_photos((ANN,), (ANN,), (BOB,), (BOB,)), SAME)
    assert shown.ambiguous and sorted(_people(shown)) == [(0, 1), (2, 3)]


def test_one_photo() -> None:
    assert not recurring(_photos((ANN,)), SAME).ambiguous
    shown = recurring(_photos((BOB, ANN)), SAME)
    assert shown.ambiguous and shown.person.template @ BOB > 0.8  # the first, which is the largest face


def test_photos_without_a_face_are_left_out_by_name() -> None:
    sightings = _photos((ANN,), (), (ANN,), (BOB,))
    shown = recurring(sightings, SAME)
    assert shown.person.photos == (0, 2)
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert left_out(names, sightings, shown) == ("b.jpg: no face found", "d.jpg: shows only others")
    kept = sightings.select(shown.person.photos)
    assert left_out(names[:2], kept, recurring(kept, SAME)) == ()


def test_fewer_than_two_photos_left_are_an_error() -> None:
    sightings = _photos((), (ANN,), (BOB,))
    with pytest.raises(PhotosError, match=r"of 3 photos 1 can be used.*a\.jpg: no face found; c\.jpg: shows only others"):
        left_out(("a.jpg", "b.jpg", "c.jpg"), sightings, recurring(sightings, SAME))
    with pytest.raises(PhotosError, match="no face found on any of 2 photos"):
        recurring(_photos((), ()), SAME)


def test_an_embedder_of_whole_pictures_keeps_every_photo() -> None:
    shown = recurring(_photos((ANN,), (BOB,), (EVE,)), None)
    assert _people(shown) == [(0, 1, 2)] and not shown.ambiguous


def test_without_a_threshold_bystanders_are_not_grouped() -> None:
    assert _people(recurring(_photos((ANN, BOB), (ANN, BOB), (ANN,)), None)) == [(0, 1, 2), (0,), (1,)]


def test_the_faces_agree_as_much_as_any_choice_of_one_a_photo() -> None:
    sightings = _photos((EVE, ANN), (ANN, BOB), (BOB, ANN, EVE), (ANN,))
    choices = product(*sightings)
    most = max(choices, key=lambda choice: sum(float(a @ b) for a, b in combinations(choice, 2)))
    np.testing.assert_array_equal(recurring(sightings, SAME).person.vectors, most)


@given(st.data())
def test_order_does_not_change_who_recurs(data: st.DataObject) -> None:
    group = st.lists(st.sampled_from([1, 2]), unique=True)
    others = data.draw(st.lists(group, min_size=3, max_size=6))
    solo = [*others[:-1], []]  # Ann is on every photo, the others are not on the last
    sightings = _photos(*((ANN, *((ANN, BOB, EVE)[i] for i in photo)) for photo in solo))
    photos = list(sightings)
    order = data.draw(st.permutations(range(len(photos))))
    turned = [data.draw(st.permutations(range(len(photos[i])))) for i in order]
    shown = recurring(sightings, SAME)
    other = recurring(Sightings.of([photos[i][list(faces)] for i, faces in zip(order, turned, strict=True)]), SAME)
    np.testing.assert_allclose(other.person.template, shown.person.template)
    assert sorted(_people(shown)) == sorted(tuple(sorted(order[i] for i in photos)) for photos in _people(other))
    np.testing.assert_array_equal(other.person.vectors, shown.person.vectors[list(order)])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 50), st.floats(0.1, 0.9))
def test_everybody_is_named_once(counts: list[int], seed: int, same: float) -> None:
    vectors = np.random.default_rng(seed).standard_normal((sum(counts), 4))
    sightings = Sightings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.array(counts))
    if not any(counts):
        with pytest.raises(PhotosError):
            recurring(sightings, same)
        return
    shown = recurring(sightings, same)
    named = sorted(face for who in (shown.person, *shown.bystanders) for face in who.faces.items())
    assert named == [(i, j) for i, count in enumerate(counts) for j in range(count)]
    numbers = [len(photos) for photos in _people(shown)]
    assert numbers == sorted(numbers, reverse=True)
