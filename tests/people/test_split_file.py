"""Splits by identity: disjoint, a function of names and seed, and refused where a file says otherwise."""

import json
from pathlib import Path

import pytest

from loraleak.errors import UsageError
from loraleak.people import Identity, PeopleSplit, in_part, read_split, split_people, write_split

NAMES = [f"person-{i}" for i in range(20)]
SIZES = {"controls": 5, "quality": 3}


def test_parts_are_disjoint_and_whole() -> None:
    split = split_people(NAMES, SIZES, "public", seed=1)
    assert {part: len(names) for part, names in split.parts.items()} == {"controls": 5, "quality": 3, "public": 12}
    assert sorted(name for names in split.parts.values() for name in names) == sorted(NAMES)
    assert split == split_people(reversed(NAMES), SIZES, "public", seed=1)
    assert split != split_people(NAMES, SIZES, "public", seed=2)


def test_folders_of_one_person_go_into_one_part() -> None:
    for seed in range(20):
        split = split_people(NAMES, SIZES, "public", seed=seed, doubles=[("person-3", "person-17")])
        homes = [part for part, names in split.parts.items() for name in names if name in ("person-3", "person-17")]
        assert len(homes) == 2 and len(set(homes)) == 1


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    split = split_people(NAMES, SIZES, "public", seed=1, doubles=[("person-3", "person-17")])
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split


def test_somebody_in_two_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ada is in two parts of a split, controls and public"):
        PeopleSplit({"controls": ("ada",), "public": ("bo", "ada")})
    with pytest.raises(UsageError, match="ada, bo show the same person"):
        PeopleSplit({"controls": ("ada",), "public": ("bo",)}, (("ada", "bo"),))
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"schema": "loraleak.split/1", "parts": {"a": ["x"], "b": ["x"]}, "doubles": []}))
    with pytest.raises(UsageError, match="x is in two parts"):
        read_split(file)
    file.write_text('{"schema": "loraleak.split/1", "parts": 3}')
    with pytest.raises(UsageError, match="holds no split of people"):
        read_split(file)


def test_too_few_people_are_told_of() -> None:
    with pytest.raises(UsageError, match="there are 8 people, and 5 for controls, 3 for quality leave nobody for public"):
        split_people(NAMES[:8], SIZES, "public", seed=0)


def test_the_people_of_one_part(tmp_path: Path) -> None:
    people = [Identity(name, tmp_path / name) for name in NAMES]
    split = split_people(NAMES, SIZES, "public", seed=1)
    assert [person.name for person in in_part(people, split, "quality")] == sorted(split.parts["quality"], key=NAMES.index)
    with pytest.raises(UsageError, match="no part 'victims': give one of controls, public, quality"):
        in_part(people, split, "victims")
    gone = split.parts["quality"][0]
    with pytest.raises(UsageError, match=f"{gone}: in the part quality of the split, and not among the folders"):
        in_part([person for person in people if person.name != gone], split, "quality")
