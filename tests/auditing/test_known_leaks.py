"""Files with known leaks: read from folders, tried once, and kept in the cache."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from loraleak.assets import POCKET_KNOWN_LEAKS
from loraleak.auditing.known_leaks import count_found, read_known_leaks
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.embedders import load_embedder
from loraleak.errors import PhotosError
from loraleak.types import Adapter, Sightings


def test_a_folder_with_too_few_files_is_refused_and_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match=r"holds 0 files with known leaks.*sub-folder for each person"):
        read_known_leaks(tmp_path, load_embedder("pocket"))
    with pytest.raises(PhotosError, match="holds 0 files"):
        read_known_leaks(tmp_path / "none", load_embedder("pocket"))


def test_pockets_known_leaks_are_people_who_differ() -> None:
    leaks = read_known_leaks(POCKET_KNOWN_LEAKS, load_embedder("pocket"))
    assert len(leaks) == 5 and len({leak.adapter.sha256 for leak in leaks}) == 5
    centres = np.stack([leak.photos.mean(axis=0) for leak in leaks])
    for leak, centre in zip(leaks, centres, strict=True):
        assert (leak.photos @ centre).min() > (leak.photos @ centres.T).mean()


def test_files_are_counted_once_sampled_and_then_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    leaks = read_known_leaks(POCKET_KNOWN_LEAKS, load_embedder("pocket"))[:3]
    rng = np.random.default_rng(0)
    units = rng.standard_normal((64, leaks[0].photos.shape[1])).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    others = OtherPeople(tuple(unit[None] for unit in units[8:]), "people")
    shown = {leaks[0].adapter.sha256: leaks[0].photos[:4], leaks[1].adapter.sha256: leaks[1].photos[:4]}
    asked: list[str] = []

    def sampled(adapter: Adapter) -> Mapping[str, Sightings]:
        asked.append(adapter.sha256)
        pictures = shown.get(adapter.sha256, units[4:8])
        return {"base-class": Sightings.one_each(units[:4]), "lora-class": Sightings.one_each(pictures)}

    for _ in range(2):
        found = count_found(leaks, sampled, others, floor="base-class", level=0.05, decided_by=["x"])
        assert found == 2
    assert len(asked) == 3
    count_found(leaks, sampled, others, floor="base-class", level=0.05, decided_by=["y"])
    assert len(asked) == 6
