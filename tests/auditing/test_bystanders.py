"""Bystanders: each has an exposure and a test of their own."""

import numpy as np
import pytest

from loraleak.auditing.bystanders import seen_of_bystanders
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.people import PhotoFile
from loraleak.reporting.results import ArmResult
from loraleak.scores import recurring
from loraleak.types import Embeddings, Interval, Sightings

NOTHING = np.zeros((0, 1, 1, 3), np.uint8)


def _unit(rng: np.random.Generator, count: int) -> Embeddings:
    vectors = rng.normal(size=(count, 32)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _arm(name: str, role: str) -> ArmResult:
    return ArmResult(name, role, "", NOTHING, Interval(0.0, 0.0, 0.0), None, None, (), (), ())  # type: ignore[arg-type]


def test_an_adapter_that_shows_the_bystander_finds_the_bystander_alone() -> None:
    rng = np.random.default_rng(0)
    owner, friend, *others = _unit(rng, 42)
    photos = Sightings.of([np.stack([owner, friend]), owner[None], owner[None]])
    shown = recurring(photos, 0.5)
    pictures = {"base-class": Sightings.one_each(_unit(rng, 4)), "lora-class": Sightings.one_each(np.stack([friend] * 4))}
    embedded = Embedded(shown.person.vectors, pictures)
    scored = Scored((_arm("base-class", "floor"), _arm("lora-class", "attack")), np.zeros(3))
    files = [PhotoFile(f"{i}.png", "", np.zeros((1, 1, 3), np.uint8)) for i in range(3)]
    people = OtherPeople(tuple(other[None] for other in others), "people")

    (seen,) = seen_of_bystanders(shown.bystanders, files, embedded, scored, people)
    assert seen.photos == ("0.png",)
    assert seen.exposure == pytest.approx(1.0, abs=1e-5)
    assert seen.p_value == people.smallest_p
