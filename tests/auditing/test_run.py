"""The main job on a tiny pipeline: what it refuses, and what it hands to whom."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loraleak.adapters import load_adapter, save_adapter
from loraleak.arms import Arm
from loraleak.assets import POCKET_KIT, POCKET_KNOWN_LEAKS
from loraleak.auditing import loading, run
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.run import audit
from loraleak.bases import DiffusersBase
from loraleak.defences import finetune
from loraleak.embedders import load_embedder
from loraleak.errors import AdapterError, BaseMismatchError, PhotosError, UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.kits import Kit, read_kit, save_kit
from loraleak.reporting import Answer, Report
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


def _membership(report: Report) -> list[Answer]:
    return [answer for answer in report.answers if answer.name == "membership"]


def test_the_same_audit_twice_is_the_same(adapter: Path, photos: Path, pipeline_folder: Path) -> None:
    settings = AuditSettings(base=str(pipeline_folder), device="cpu", images=2, steps=2, others_count=19)
    first, second = (audit(adapter, photos, settings) for _ in range(2))
    assert first.verdict == second.verdict
    assert [(answer.p_value, "--held-out" in answer.says) for answer in _membership(first)] == [(None, True)]
    for one, other in zip(first.arms, second.arms, strict=True):
        assert np.array_equal(one.images, other.images) and one.similarity == other.similarity


def _leaks(folder: Path, adapter: Path, photos: Path) -> Path:
    for i in range(3):
        home = folder / f"person-{i}"
        shutil.copytree(photos, home)
        shutil.copy(adapter, home / "adapter.safetensors")
    return folder


def test_low_is_not_said_on_a_base_for_which_nobody_knows_what_is_missed(
    adapter: Path, photos: Path, pipeline_folder: Path, tmp_path: Path
) -> None:
    settings = AuditSettings(base=str(pipeline_folder), device="cpu", images=2, steps=2, others_count=19)
    verdict = audit(adapter, photos, settings).verdict
    assert verdict.level == "undecided" and verdict.probability is None
    known = {control.name: control for control in verdict.positive_controls}
    assert not known["known-leaks"].passed and "--known-leaks" in known["known-leaks"].remedy

    tried = audit(adapter, photos, replace(settings, known_leaks=_leaks(tmp_path / "leaks", adapter, photos))).verdict
    (control,) = (control for control in tried.positive_controls if control.name == "known-leaks")
    assert "of 3 files that are known to give a person away were found" in control.says


def test_held_out_photos_answer_whether_a_photo_was_used(
    adapter: Path, photos: Path, pipeline_folder: Path, tmp_path: Path
) -> None:
    settings = AuditSettings(base=str(pipeline_folder), device="cpu", images=2, steps=2, others_count=19, arms=("lora-class",))
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    for i, image in enumerate(np.random.default_rng(8).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(image).save(held_out / f"{i}.png")
    (tested,) = _membership(audit(adapter, photos, replace(settings, held_out=held_out)))
    assert tested.p_value is not None and [photo.path for photo in tested.photos] == ["0.png", "1.png", "2.png"]
    shutil.copy(photos / "1.png", held_out / "same.png")
    with pytest.raises(
        PhotosError, match=r"same\.png is 1\.png of --photos too: give photos on which the file was not trained"
    ):
        audit(adapter, photos, replace(settings, held_out=held_out))


def test_known_leaks_for_another_base_are_refused_before_anything_is_sampled(
    adapter: Path, photos: Path, pipeline_folder: Path
) -> None:
    with pytest.raises(BaseMismatchError, match="does not fit"):
        audit(adapter, photos, AuditSettings(base=str(pipeline_folder), device="cpu", known_leaks=POCKET_KNOWN_LEAKS))


def test_a_file_that_changes_nothing_is_refused(adapter: Path, photos: Path, pipeline_folder: Path, tmp_path: Path) -> None:
    trained = load_adapter(adapter)
    zeros = {name: replace(f, up=torch.zeros_like(f.up)) for name, f in trained.factors.items()}
    save_adapter(replace(trained, factors=zeros), tmp_path / "untrained.safetensors")
    with pytest.raises(AdapterError, match="this file changes nothing: it looks untrained"):
        audit(tmp_path / "untrained.safetensors", photos, AuditSettings(base=str(pipeline_folder), device="cpu"))


def test_an_audit_says_why_a_kits_controls_are_not_used(
    adapter: Path, photos: Path, pipeline_folder: Path, base: DiffusersBase, tmp_path: Path
) -> None:
    pocket = read_kit(POCKET_KIT)
    assert pocket.controls is not None
    sampling = replace(pocket.sampling, base_sha256=base.sha256, attack_sha256="", embedder="faces-sface-1")
    card = replace(pocket.card, base_sha256=base.sha256)
    save_kit(Kit(card, sampling, controls=replace(pocket.controls, sampling=sampling)), tmp_path / "kit.safetensors")
    given = {"kit": str(tmp_path / "kit.safetensors"), "steps": 7, "embedder": "general"}
    loaded = loading.load(adapter, photos, AuditSettings(base=str(pipeline_folder), device="cpu", **given))
    says = loading.unused_controls(loaded)
    assert says.endswith("differs from theirs in the embedder (faces-sface-1), the sampler steps (20).")
    assert loaded.controls is None and loaded.others is None


def test_an_audit_in_other_steps_than_the_controls_compares_with_the_kits_people(
    adapter: Path, photos: Path, pipeline_folder: Path, base: DiffusersBase, tmp_path: Path
) -> None:
    pocket = read_kit(POCKET_KIT)
    assert pocket.controls is not None
    sampling = replace(pocket.sampling, base_sha256=base.sha256, attack_sha256="", embedder=load_embedder("general").name)
    kit = Kit(replace(pocket.card, base_sha256=base.sha256), sampling, controls=replace(pocket.controls, sampling=sampling))
    save_kit(kit, tmp_path / "kit.safetensors")
    settings = AuditSettings(
        base=str(pipeline_folder), device="cpu", kit=str(tmp_path / "kit.safetensors"), embedder="general", steps=sampling.steps
    )
    as_sampled = loading.load(adapter, photos, settings)
    assert as_sampled.controls is not None and as_sampled.others is not None
    fewer = loading.load(adapter, photos, replace(settings, steps=7))
    assert fewer.controls is None and fewer.others is not None  # no p of controls is claimed, and nobody has to be drawn
    assert len(fewer.others) == len(pocket.people)


def test_an_audit_stops_as_soon_as_its_level_is_certain(
    adapter: Path, photos: Path, pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sees:
        """The owner on the photos and on what the adapter draws, somebody else on everything else."""

        name = "sees"
        same_person = None
        rng = np.random.default_rng(0)

        def embed(self, images: Sequence[Picture]) -> Sightings:
            vectors = self.rng.standard_normal((len(images), 64)).astype(np.float32)
            owner = np.eye(64, dtype=np.float32)[0]
            shown = [owner if leaking(image) else vector for image, vector in zip(images, vectors, strict=True)]
            return Sightings.one_each(np.stack(shown) / np.linalg.norm(shown, axis=1, keepdims=True))

    floor: list[bytes] = []

    def leaking(image: Picture) -> bool:
        return image.tobytes() not in floor

    def drawn(scene: object, *_: object, **__: object) -> Images:
        people = np.random.default_rng(1).integers(0, 256, (99, 16, 16, 3), dtype=np.uint8)
        floor.extend(person.tobytes() for person in people)
        return people

    def note_floor(arm: Arm, images: Images) -> None:
        if arm.role == "floor":
            floor.extend(image.tobytes() for image in images)

    monkeypatch.setattr(loading, "load_embedder", lambda name: Sees())
    monkeypatch.setattr(run, "draw_people", drawn)
    settings = AuditSettings(base=str(pipeline_folder), device="cpu", images=2, steps=2, until_decided=True)
    stopped = audit(adapter, photos, settings, seen_by=note_floor)
    assert stopped.verdict.level == "high" and stopped.verdict.p_value == 0.01
    assert [arm.name for arm in stopped.arms] == ["base-class", "lora-guidance"]
    assert any("stopped after one attack" in limit for limit in stopped.limits)
    whole = audit(adapter, photos, replace(settings, until_decided=False), seen_by=note_floor)
    assert whole.verdict.p_value == 0.01 and len(whole.arms) > 3
