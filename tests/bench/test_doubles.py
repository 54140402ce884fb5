"""The same person in two folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.bench.doubles import doubles, know
from loraleak.errors import PhotosError
from loraleak.people import identities_in
from loraleak.types import Picture, Sightings


class _Colour:
    """The mean colour of a picture; black shows nobody."""

    name = "colour"
    same_person: float | None = 0.9

    def embed(self, images: Sequence[Picture]) -> Sightings:
        means = [image.reshape(-1, 3).mean(axis=0, keepdims=True).astype(np.float32) - 128 for image in images]
        return Sightings.of([m / np.linalg.norm(m) if m.min() > -128 else np.zeros((0, 3), np.float32) for m in means])


def _folder(root: Path, name: str, colour: tuple[int, int, int], count: int = 3) -> None:
    (root / name).mkdir(parents=True)
    for i in range(count):
        value = np.array(colour) + np.random.default_rng([len(name), i, colour[0]]).integers(-25, 25, 3) * (colour[0] > 0)
        Image.fromarray(np.full((8, 8, 3), value.clip(0, 255), np.uint8)).save(root / name / f"{i}.png")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for name, colour in {"ada": (200, 40, 60), "bo": (40, 200, 60), "cy": (40, 60, 200), "ada-again": (201, 40, 60)}.items():
        _folder(tmp_path / "people", name, colour)
    return tmp_path / "people"


@pytest.mark.parametrize("threshold", [0.9, None], ids=["a published threshold", "none"])
def test_a_person_with_two_folders_is_found(people: Path, tmp_path: Path, threshold: float | None) -> None:
    known = know(identities_in(people), _Colour(), tmp_path / "known")
    assert doubles(known, threshold) == [("ada", "ada-again")]


def test_a_photo_file_in_two_folders_joins_them(people: Path, tmp_path: Path) -> None:
    (people / "bo" / "copy.png").write_bytes((people / "cy" / "0.png").read_bytes())
    (people / "ada-again" / "copy.png").write_bytes((people / "cy" / "0.png").read_bytes())
    known = know(identities_in(people), _Colour(), tmp_path / "known")
    assert doubles(known, 1.1) == [("ada-again", "bo", "cy")]


def test_nobody_is_looked_at_twice_unless_photos_change(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = know(identities_in(people), _Colour(), tmp_path / "known")
    looked: list[int] = []
    inner = _Colour.embed
    monkeypatch.setattr(_Colour, "embed", lambda self, images: looked.append(len(images)) or inner(self, images))
    again = know(identities_in(people), _Colour(), tmp_path / "known")
    assert not looked and all(np.array_equal(a.vectors, b.vectors) for a, b in zip(first, again, strict=True))
    (people / "bo" / "0.png").unlink()
    know(identities_in(people), _Colour(), tmp_path / "known")
    assert looked == [2]


def test_people_whom_the_embedder_does_not_find_are_named(people: Path, tmp_path: Path) -> None:
    _folder(people, "dark", (0, 0, 0))
    with pytest.raises(PhotosError, match="dark is found on 0 of 3 photos"):
        know(identities_in(people), _Colour(), tmp_path / "known")
