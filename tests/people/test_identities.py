"""Drawn people and people of folders through one type."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.errors import PhotosError, UsageError
from loraleak.people import Identity, draw_people, identities_in, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ada", "bo"):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (16, 12, 3), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "of-nobody.png")
    return tmp_path


def test_private_and_further_photos_of_a_folder_are_disjoint_and_a_function_of_the_seed(folder: Path) -> None:
    ada, bo = identities_in(folder)
    assert (ada.name, bo.name) == ("ada", "bo") and len(ada.photos) == 6
    private = ada.private(4, seed=1, number=0)
    further = ada.further(5, seed=1, number=0, private=4)
    assert len(private) == 4 and len(further) == 2
    assert not {p.tobytes() for p in private} & {p.tobytes() for p in further}
    again = ada.private(4, seed=1, number=9)
    assert all(np.array_equal(a, b) for a, b in zip(private, again, strict=True))
    other = {p.tobytes() for p in ada.private(4, seed=2, number=0)}
    assert other != {p.tobytes() for p in private}


def test_photos_are_read_when_they_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("loraleak.people.folders.read_photo", lambda path, name, **_: read.append(name) or pytest.fail(name))
    assert identities_in(folder)[0].photos
    assert not read


def test_a_person_needs_a_photo_more_than_an_adapter_is_trained_on(folder: Path) -> None:
    with pytest.raises(PhotosError, match="it holds 6 photos, and 6 to train on"):
        identities_in(folder)[0].private(6, seed=0, number=0)


def test_the_key_tells_changed_photos(folder: Path) -> None:
    before = identities_in(folder)[0].key(5, seed=0)
    assert before == identities_in(folder)[0].key(5, seed=0)
    for file in (folder / "ada").iterdir():
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(file)
    assert before != identities_in(folder)[0].key(5, seed=0)


def test_drawn_people_are_drawn_as_ever() -> None:
    (person,) = draw_people("victims", 1, seed=0)
    identity = Identity("drawn", person)
    assert np.array_equal(identity.private(3, seed=4, number=7), pictures(person, 3, seed=(4, 7, 0)))
    assert np.array_equal(identity.further(3, seed=4, number=7, private=3), pictures(person, 3, seed=(4, 7, 1)))
    assert identity.drawn == person and identity.key(3, seed=4) == repr(person)


def test_nobody_knows_the_traits_of_a_person_of_a_folder(folder: Path) -> None:
    with pytest.raises(UsageError, match="ada is a person of a folder"):
        _ = identities_in(folder)[0].drawn


def test_true_traits_are_those_of_the_drawing_or_of_a_file(folder: Path) -> None:
    (person,) = draw_people("victims", 1, seed=0)
    assert Identity("drawn", person).traits == person.attributes()
    ada, bo = identities_in(folder)
    (folder / "ada" / "person.json").write_text('{"attributes": {"hair": "short", "age": 40}}')
    assert ada.traits == {"hair": "short", "age": "40"}
    for held in (None, "[]", '{"attributes": 3}'):
        if held is not None:
            (folder / "bo" / "person.json").write_text(held)
        with pytest.raises(UsageError, match="it tells no traits"):
            _ = bo.traits


def test_a_drawn_person_has_no_folder() -> None:
    (person,) = draw_people("victims", 1, seed=0)
    with pytest.raises(UsageError, match="drawn is drawn and has no folder"):
        _ = Identity("drawn", person).home
