"""The main job on a tiny pipeline: what it refuses, and what it hands to whom."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.adapters import save_adapter
from loraleak.auditing import loading
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.run import audit
from loraleak.bases import DiffusersBase
from loraleak.defences import finetune
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images, Picture, Sightings


class _Damaged:
    name = "damaged"
    same_person = None

    def embed(self, images: Sequence[Picture]) -> Sightings:
        return Sightings.one_each(np.full((len(images), 4), np.nan, dtype=np.float32))


@pytest.fixture
def adapter(tmp_path: Path, base: DiffusersBase, private_images: Images) -> Path:
    save_adapter(
        finetune(base, private_images, Recipe(steps=1, rank=1, class_count=2), quiet=True).adapter, tmp_path / "a.safetensors"
    )
    return tmp_path / "a.safetensors"


@pytest.fixture
def photos(tmp_path: Path, private_images: Images) -> Path:
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(private_images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def test_an_embedder_that_gives_no_numbers_is_refused(
    adapter: Path, photos: Path, pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_embedder", lambda name: _Damaged())
    with pytest.raises(UsageError, match="damaged gave vectors that are no numbers"):
        audit(adapter, photos, AuditSettings(base=str(pipeline_folder), device="cpu"))


def test_the_same_audit_twice_is_the_same(adapter: Path, photos: Path, pipeline_folder: Path) -> None:
    settings = AuditSettings(base=str(pipeline_folder), device="cpu", images=2, steps=2)
    first, second = (audit(adapter, photos, settings) for _ in range(2))
    assert first.verdict == second.verdict
    for one, other in zip(first.arms, second.arms, strict=True):
        assert np.array_equal(one.images, other.images) and one.similarity == other.similarity
