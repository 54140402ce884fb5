"""Against other people: exact under the null, powerful when the adapter shows the person, and fair to everybody."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest

from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people, standing_out
from loraleak.reporting.results import NullTest
from loraleak.types import Sightings

ATTACKS = ("lora-class", "lora-empty")
DIM = 24


def _units(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _people(rng: np.random.Generator, count: int, photos: int) -> list[np.ndarray]:
    """Photos of `count` people: each a direction of their own, and what differs from photo to photo."""
    people = rng.standard_normal((count, 1, DIM))
    return list(_units(people + 0.4 * rng.standard_normal((count, photos, DIM))))


def _arms(rng: np.random.Generator, shown: np.ndarray, *, leak: float = 0.0) -> Mapping[str, np.ndarray]:
    """The base draws anybody; the adapter draws somebody of its own, and leaks whom `shown` shows."""
    base = _units(rng.standard_normal((8, DIM)))
    trained_on = rng.standard_normal(DIM) + leak * shown.mean(axis=0)
    return {"base-class": base, **{name: _units(trained_on + rng.standard_normal((8, DIM))) for name in ATTACKS}}


def _shown(arms: Mapping[str, np.ndarray]) -> Mapping[str, Sightings]:
    return {name: Sightings.one_each(vectors) for name, vectors in arms.items()}


def _test(arms: Mapping[str, np.ndarray], photos: np.ndarray, others: list[np.ndarray]) -> NullTest:
    return against_other_people(_shown(arms), photos, OtherPeople(tuple(others), "people"), attacks=ATTACKS, floor="base-class")


def test_p_takes_each_of_its_values_once_over_all_choices_of_the_owner() -> None:
    """Exactness: whichever of 20 people owns the photos, against the other 19, the p-values are 1/20, 2/20, ... 20/20."""
    rng = np.random.default_rng(0)
    people = _people(rng, 20, photos=3)
    arms = _arms(rng, people[0], leak=2.0)
    p = [_test(arms, people[i], people[:i] + people[i + 1 :]).p_value for i in range(20)]
    assert sorted(p) == pytest.approx(np.arange(1, 21) / 20)


@pytest.mark.parametrize("photos_of_others", [1, 5], ids=["one photo each", "as many as the owner"])
def test_p_keeps_its_level_when_the_adapter_was_trained_on_somebody_else(photos_of_others: int) -> None:
    rng = np.random.default_rng(photos_of_others)
    p = []
    for _ in range(400):
        owner, *others = _people(rng, 40, photos=5)
        p.append(_test(_arms(rng, owner), owner, [photos[:photos_of_others] for photos in others]).p_value)
    for level in (0.05, 0.1, 0.25):
        assert np.mean(np.array(p) <= level) <= level + 3.3 * (level * (1 - level) / 400) ** 0.5


def test_a_person_whom_the_adapter_shows_is_found() -> None:
    rng = np.random.default_rng(2)
    p = []
    for _ in range(40):
        owner, *others = _people(rng, 100, photos=5)
        p.append(_test(_arms(rng, owner, leak=6.0), owner, others).p_value)
    assert np.mean(np.array(p) == 0.01) > 0.9


def test_what_the_base_draws_anyway_is_no_evidence() -> None:
    """An owner who looks like everybody whom the base draws: the adapter changed nothing, so nothing is found."""
    rng = np.random.default_rng(3)
    owner, *others = _people(rng, 40, photos=3)
    base = _units(owner.mean(axis=0) + 0.3 * rng.standard_normal((8, DIM)))
    test = _test({"base-class": base, **dict.fromkeys(ATTACKS, base)}, owner, others)
    assert test.p_value == 1.0 and "nan" not in " ".join(test.reasons)


def test_the_statistic_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(4)
    owner, *others = _people(rng, 6, photos=4)
    arms = _arms(rng, owner)
    standing = standing_out(_shown(arms), owner[:2], OtherPeople(tuple(others), "people"), attacks=ATTACKS, floor="base-class")
    for column, name in enumerate(ATTACKS):
        nearer = []
        for photos in (owner[:2], *(mine[:2] for mine in others)):
            to_arm = np.mean([a @ photo for a, photo in product(arms[name], photos)])
            nearer.append(to_arm - np.mean([b @ photo for b, photo in product(arms["base-class"], photos)]))
        assert standing[:, column] == pytest.approx((nearer - np.mean(nearer)) / np.std(nearer), abs=1e-4)


def test_the_order_of_others_photos_and_pictures_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    owner, *others = _people(rng, 30, photos=3)
    arms = _arms(rng, owner, leak=1.0)
    order = rng.permutation(len(others))
    shuffled = {name: vectors[::-1] for name, vectors in arms.items()}
    assert _test(arms, owner, others).p_value == _test(shuffled, owner[::-1], [others[i][::-1] for i in order]).p_value


def test_it_says_how_fine_p_can_be_and_with_whom_it_compares() -> None:
    rng = np.random.default_rng(6)
    owner, *others = _people(rng, 40, photos=3)
    test = _test(_arms(rng, owner), owner, others)
    assert test.smallest_p == pytest.approx(1 / 40) and test.says == "the photos of 39 people"


def test_everybody_gets_the_face_that_suits_them_best_and_a_picture_without_a_face_shows_nobody() -> None:
    """Exact too where pictures show two faces, one or none: the p-values are 1/20, 2/20, ... 20/20."""
    rng = np.random.default_rng(7)
    people = _people(rng, 20, photos=3)

    def crowded(vectors: np.ndarray) -> Sightings:
        return Sightings.of([vectors[:2], vectors[:0], vectors[2:3], vectors[3:6], vectors[6:7]])

    arms = {name: crowded(vectors) for name, vectors in _arms(rng, people[0], leak=2.0).items()}
    p = []
    for i in range(20):
        others = OtherPeople(tuple(people[:i] + people[i + 1 :]), "people")
        p.append(against_other_people(arms, people[i], others, attacks=ATTACKS, floor="base-class").p_value)
    assert sorted(p) == pytest.approx(np.arange(1, 21) / 20)


def test_without_anybody_else_p_is_one_and_says_why() -> None:
    rng = np.random.default_rng(0)
    (photos,) = _people(rng, 1, photos=3)
    test = _test(_arms(rng, photos, leak=5.0), photos, [])
    assert test.p_value == test.smallest_p == 1 and test.reasons == (
        "There was nobody to compare the person in these photos with.",
    )
