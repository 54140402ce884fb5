"""Positive controls pass where an audit can see, and fail where it cannot."""

import numpy as np
import pytest

from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.positive_controls import known_leaks_are_found, owner_prompt_is_seen, photos_show_one_person
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.reporting.results import ArmResult
from loraleak.types import Interval, Sightings

DIM = 24
NAMES = ("1.png", "2.png", "3.png", "4.png")


def _units(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _person(rng: np.random.Generator, photos: int, spread: float = 0.3) -> np.ndarray:
    return _units(rng.standard_normal(DIM) + spread * rng.standard_normal((photos, DIM)))


def _others(rng: np.random.Generator) -> OtherPeople:
    return OtherPeople(tuple(_person(rng, 4) for _ in range(60)), "people")


def test_photos_of_one_person_find_each_other() -> None:
    rng = np.random.default_rng(0)
    control = photos_show_one_person(Embedded(_person(rng, 4), {}), NAMES, _others(rng))
    assert control.passed and "4 of 4 were found" in control.says


def test_a_photo_of_somebody_else_is_named() -> None:
    rng = np.random.default_rng(1)
    photos = np.concatenate([_person(rng, 3), _person(rng, 1)])
    control = photos_show_one_person(Embedded(photos, {}), NAMES, _others(rng))
    assert control.passed and "3 of 4 were found, 4.png not" in control.says


def test_without_anybody_else_nothing_is_shown() -> None:
    control = photos_show_one_person(Embedded(_person(np.random.default_rng(4), 4), {}), NAMES, OtherPeople((), "people"))
    assert not control.passed and "nobody else" in control.says


@pytest.mark.parametrize("kind", ["different people", "seen by nobody", "one photo"])
def test_photos_that_show_no_one_person_fail(kind: str) -> None:
    rng = np.random.default_rng(2)
    photos = {
        "different people": np.concatenate([_person(rng, 1) for _ in range(4)]),
        "seen by nobody": np.zeros((4, DIM), np.float32),
        "one photo": _person(rng, 1),
    }[kind]
    assert not photos_show_one_person(Embedded(photos, {}), NAMES[: len(photos)], _others(rng)).passed


def _arm(name: str, role: str) -> ArmResult:
    nothing = np.zeros((8, 2, 2, 3), np.uint8)
    return ArmResult(name, role, "", nothing, Interval(0.0, 0.0, 0.0), None, None, (), (), ())  # type: ignore[arg-type]


def _sampled(rng: np.random.Generator, photos: np.ndarray, *, shows: float, ceiling: bool = True) -> tuple[Embedded, Scored]:
    base = _units(rng.standard_normal((8, DIM)))
    arms = {"base-class": base, "lora-trigger": _units(shows * photos.mean(axis=0) + 0.2 * rng.standard_normal((8, DIM)))}
    results = (_arm("base-class", "floor"), _arm("lora-trigger", "ceiling"))[: 2 if ceiling else 1]
    return Embedded(photos, {name: Sightings.one_each(vectors) for name, vectors in arms.items()}), Scored(
        results, np.zeros(len(photos))
    )


def test_the_owners_prompt_must_show_the_person() -> None:
    rng = np.random.default_rng(3)
    photos, others = _person(rng, 4), _others(rng)
    shown = owner_prompt_is_seen(*_sampled(rng, photos, shows=1.0), others)
    wrong = owner_prompt_is_seen(*_sampled(rng, _units(-photos), shows=0.0), others)
    assert shown is not None and shown.passed and "show the person in your photos (p = 0.016)" in shown.says
    assert wrong is not None and not wrong.passed and "do not show" in wrong.says


def test_without_the_owners_prompt_there_is_no_such_control() -> None:
    rng = np.random.default_rng(4)
    photos = _person(rng, 4)
    assert owner_prompt_is_seen(*_sampled(rng, photos, shows=1.0, ceiling=False), _others(rng)) is None


def test_known_leaks_that_are_missed_name_the_command_that_would_see_more() -> None:
    failed = known_leaks_are_found(2, 5, images=4, steps=6, max_miss_rate=0.1)
    assert not failed.passed and "--images 8 --steps 12" in failed.remedy
    passed = known_leaks_are_found(5, 5, images=4, steps=6, max_miss_rate=0.1)
    assert passed.passed and not passed.remedy
