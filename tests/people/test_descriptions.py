"""Described people differ, stay who they are from picture to picture, and only the seed tells who they are."""

import pytest

from loraleak.people import described_avatars, described_people
from loraleak.people.descriptions import Described


def _who(person: Described) -> set[str]:
    """What all of a person's prompts begin with."""
    return {prompt.rsplit(", wearing", 1)[0].rsplit(", ", 1)[0] for prompt in person.prompts}


def test_a_person_stays_and_the_looks_change() -> None:
    people = described_people(30, 8, seed=4)
    assert [len(_who(person)) for person in people] == [1] * 30
    assert len(set().union(*map(_who, people))) == 30
    assert all(len(set(person.prompts)) > 4 for person in people)


def test_given_descriptions_are_taken_as_they_are() -> None:
    (one, two) = described_people(2, 3, seed=1, given=["a tall woman with red hair", "an old man"])
    assert _who(one) == {"a photo of a tall woman with red hair"} and _who(two) == {"a photo of an old man"}


def test_avatars_differ_in_the_words_of_pocket() -> None:
    people = described_avatars(20, 4, seed=4)
    traits = [{prompt.split(" background")[0].split(",")[0] for prompt in person.prompts} for person in people]
    assert [len(first) for first in traits] == [1] * 20
    assert all("photo of a person with" in prompt for person in people for prompt in person.prompts)


@pytest.mark.parametrize("make", [described_people, described_avatars])
def test_another_seed_gives_other_people(make) -> None:  # type: ignore[no-untyped-def]
    assert make(5, 2, seed=1) == make(5, 2, seed=1)
    assert make(5, 2, seed=1) != make(5, 2, seed=2)
    assert make(5, 2, seed=1 << 127) != make(5, 2, seed=(1 << 127) + 1)
