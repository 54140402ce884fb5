"""Folders of people with a look of their own, and settings with which a kit of them is built in seconds on a tiny pipeline."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.kit_building import KitSettings
from loraleak.zoo import RecipeRanges

RANGES = RecipeRanges(
    ranks=(1, 2), steps=(2, 3), images=(2, 3), batch=1, prior_batch=1, class_count=2, snapshots=2, prior_share=0.5
)


def write_people(folder: Path, count: int, *, first: int = 0, photos: int = 4) -> Path:
    for person in range(first, first + count):
        home = folder / f"person-{person:02d}"
        home.mkdir(parents=True)
        own = np.random.default_rng([person, 1]).integers(0, 256, (4, 4, 3))
        for i in range(photos):
            noise = np.random.default_rng([person, 2, i]).integers(-20, 20, (16, 16, 3))
            picture = (own.repeat(4, axis=0).repeat(4, axis=1) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(home / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.inversion.universal._STEPS", 3)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people", 16)


@pytest.fixture
def settings(pipeline_folder: Path) -> KitSettings:
    return KitSettings(
        base=str(pipeline_folder),
        device="cpu",
        embedder="pocket",
        controls=3,
        others=4,
        quality=2,
        photos=2,
        pictures=2,
        sampler_steps=2,
        train_steps=3,
        train_batch=4,
        source="noise",
        licence="CC0",
        ranges=RANGES,
    )
