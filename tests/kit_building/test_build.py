"""A kit from folders of people, on a tiny pipeline: what is in it, and that a stopped build ends with the same bytes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kit_building.conftest import write_people
from loraleak.bases import DiffusersBase
from loraleak.errors import PhotosError, UsageError
from loraleak.kit_building import KitSettings, Machines, build_kit, forecast_kit
from loraleak.kits import Kit, read_kit, save_kit
from loraleak.kits.kit_file import kit_bytes
from loraleak.people import read_split

ALONE = Machines(lambda site: None, together=2)


@pytest.fixture
def build(settings: KitSettings, people: Path, base: DiffusersBase) -> Callable[..., Kit]:
    def made(work: Path, **changes: object) -> Kit:
        return build_kit(replace(settings, **changes), people, work, base, ALONE)

    return made


def test_a_kit_holds_what_every_stage_made(build: Callable[..., Kit], base: DiffusersBase, tmp_path: Path) -> None:
    kit = build(tmp_path / "work")
    split = read_split(tmp_path / "work" / "split.json")
    assert {part: len(names) for part, names in split.parts.items()} == {"controls": 3, "others": 4, "quality": 2, "public": 7}
    assert vars(kit.card.people) == {"attack": 7, "controls": 3, "templates": 4, "quality": 2}
    assert kit.is_for(base) and (kit.card.base, kit.card.source) == (Path(base.name).name, "noise")
    attack = kit.attack_on(base)
    assert attack is not None and attack.sha256 == kit.sampling.attack_sha256
    assert kit.controls is not None and len(kit.controls) == 3
    assert all(len(shown) == 6 and np.isfinite(shown.vectors).all() for shown in kit.controls.arms.values())
    assert "lora-z" in kit.controls.arms and "lora-trigger" not in kit.controls.arms
    assert [len(photos) for photos in kit.people] == [4] * 4
    quality = kit.card.quality
    assert quality is not None and (quality.victims, quality.wrong_audits, quality.gallery) == (2, 2, 6)
    assert kit.sensitivity is not None and kit.sensitivity.rows[0].files == 2
    save_kit(kit, tmp_path / "kit.safetensors")
    assert kit_bytes(read_kit(tmp_path / "kit.safetensors")) == (tmp_path / "kit.safetensors").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "kit.safetensors").read_bytes()
    assert build(tmp_path / "work", templates=False).controls is None


def test_a_build_that_lost_any_of_its_parts_ends_with_the_same_bytes(build: Callable[..., Kit], tmp_path: Path) -> None:
    work = tmp_path / "work"
    whole = kit_bytes(build(work))
    kept = sorted(file.relative_to(work) for file in work.rglob("*") if file.is_file())
    lost = [
        "people/person-03.npz",
        "split.json",
        "zoo/manifest.parquet",
        "zoo/shards/00001.safetensors",
        "attack.safetensors",
        *(
            str(next(file for file in kept if file.match(f"{part}/*/*{suffix}")))
            for part in ("controls", "quality")
            for suffix in (".npz", ".safetensors")
        ),
    ]
    for name in lost:
        (work / name).unlink()
        assert kit_bytes(build(work)) == whole, name
    shutil.rmtree(work / "training")
    (work / "attack.safetensors").unlink()
    assert kit_bytes(build(work)) == whole


def test_a_person_with_two_folders_is_told_of_and_stays_in_one_part(
    build: Callable[..., Kit], people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (people / "person-00-again").mkdir()
    shutil.copy(people / "person-00" / "0.png", people / "person-00-again" / "0.png")
    for i in (1, 2):
        shutil.copy(people / "person-00" / f"{i}.png", people / "person-00-again" / f"x{i}.png")
    build(tmp_path / "work")
    said = capsys.readouterr().err
    assert "person-00, person-00-again seem to show the same person" in said
    split = read_split(tmp_path / "work" / "split.json")
    assert ("person-00", "person-00-again") in split.doubles


def test_other_people_in_the_same_work_folder_are_refused(build: Callable[..., Kit], people: Path, tmp_path: Path) -> None:
    build(tmp_path / "work")
    write_people(people, 1, first=16)
    with pytest.raises(UsageError, match="it is a split of other people, or by other settings"):
        build(tmp_path / "work")


def test_too_few_people_or_photos_are_refused_before_anything_is_trained(
    build: Callable[..., Kit], people: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="leave nobody for public"):
        build(tmp_path / "work", controls=20)
    with pytest.raises(PhotosError, match=r"person-.. has 4 photos; .* controls and people kept apart need 5"):
        build(tmp_path / "work", photos=4)
    for file in list((people / "person-05").iterdir())[1:]:
        file.unlink()
    with pytest.raises(PhotosError, match="person-05 is found on 1 of 1 photos"):
        build(tmp_path / "work")
    assert not (tmp_path / "work" / "zoo").exists()


def test_the_forecast_counts_hours_memory_and_disk(settings: KitSettings, people: Path, base: DiffusersBase) -> None:
    forecast = forecast_kit(settings, people, base, together=2, workers=1)
    assert set(forecast.stages) == {"zoo", "training", "controls"} and forecast.disk > 0
    assert all(stage.seconds > 0 and stage.memory > 0 for stage in forecast.stages.values())
    more = forecast_kit(replace(settings, controls=5), people, base, together=2, workers=1)
    assert more.stages["controls"].seconds > forecast.stages["controls"].seconds
    assert "of memory and" in forecast.says and "of disk" in forecast.says
