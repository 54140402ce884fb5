"""Other people from a folder: one a sub-folder or one a photo, and never the owner."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.auditing.nulls.sources import people_drawn, people_in
from loraleak.errors import PhotosError
from loraleak.people.folders import read_photos
from loraleak.types import Images, Picture, Sightings


class _Colours:
    """Embeds a picture as the direction of its mean colour."""

    name = "colours"
    same_person = None

    def embed(self, images: Sequence[Picture]) -> Sightings:
        means = np.array([image.mean(axis=(0, 1)) + 1 for image in images], dtype=np.float32)
        return Sightings.one_each(means / np.linalg.norm(means, axis=1, keepdims=True))


def _save(file: Path, colour: tuple[int, int, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(file)


@pytest.fixture
def owner(tmp_path: Path) -> Path:
    _save(tmp_path / "mine" / "1.png", (200, 10, 10))
    _save(tmp_path / "mine" / "2.png", (190, 10, 10))
    return tmp_path / "mine"


def test_a_sub_folder_is_one_person_and_a_photo_in_the_folder_itself_is_another(tmp_path: Path, owner: Path) -> None:
    for i in range(3):
        _save(tmp_path / "others" / "anna" / f"{i}.png", (10, 200, i))
    _save(tmp_path / "others" / "ben.png", (10, 10, 200))
    _save(tmp_path / "others" / "cleo.png", (90, 90, 20))
    others = people_in(tmp_path / "others", _Colours(), read_photos(owner))
    assert sorted(len(photos) for photos in others.photos) == [1, 1, 3]
    assert others.says == "people in others"


def test_the_owner_among_other_people_is_refused(tmp_path: Path, owner: Path) -> None:
    _save(tmp_path / "others" / "anna" / "0.png", (10, 200, 3))
    _save(tmp_path / "others" / "me" / "copy.png", (200, 10, 10))
    with pytest.raises(PhotosError, match=r"copy\.png of me in --others is one of the owner's own photos"):
        people_in(tmp_path / "others", _Colours(), read_photos(owner))


def test_each_drawn_picture_is_a_person() -> None:
    pictures: Images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    others = people_drawn(pictures, _Colours())
    assert len(others) == 5 and all(photos.shape == (1, 3) for photos in others.photos)
    assert others.smallest_p == pytest.approx(1 / 6)
