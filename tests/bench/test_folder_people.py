"""Benches over people of a folder, on a tiny pipeline."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.assets import POCKET_KIT
from loraleak.bench.arms import bench_arms
from loraleak.bench.bench_settings import ArmsBench, PaperBench, SampleSettings
from loraleak.bench.grid import transfer
from loraleak.bench.paper import bench_paper
from loraleak.bench.pareto import as_markdown, draw_pareto, summaries
from loraleak.defences.undefended import Undefended
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.kits import read_kit, save_kit
from loraleak.people.split_file import PeopleSplit, read_split, write_split

_RECIPE = Recipe(steps=2, rank=1, alpha=1.0, batch=1, prior_batch=0)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ada", "bo", "cy"):
        (tmp_path / "people" / name).mkdir(parents=True)
        for i in range(3):
            picture = rng.integers(0, 256, (16 + i, 20, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "people" / name / f"{i}.png")
    return tmp_path / "people"


@pytest.fixture
def settings(people: Path, pipeline_folder: Path) -> ArmsBench:
    return ArmsBench(
        people=people,
        victims=2,
        photos=2,
        base=str(pipeline_folder),
        embedder="pocket",
        recipe=_RECIPE,
        arms=("lora-class",),
        sampling=SampleSettings(images=2, steps=2),
    )


def test_the_gallery_is_the_folder_and_a_second_run_trains_nobody(
    settings: ArmsBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = bench_arms(settings, tmp_path / "work")
    assert (results["victims"], results["gallery"]) == (2, 3)
    assert set(results["arms"]) == {"base-class", "lora-class"}
    monkeypatch.setattr(Undefended, "finetune_together", lambda *_, **__: pytest.fail("trained again"))
    assert bench_arms(settings, tmp_path / "work") == results


def test_more_victims_than_people_are_refused(settings: ArmsBench, tmp_path: Path, people: Path) -> None:
    asked = ArmsBench(**{**vars(settings), "victims": 4, "gallery": 10})
    with pytest.raises(UsageError, match="it holds 3 people, and 4 shall be victims: give --victims 3"):
        bench_arms(asked, tmp_path / "work")


def test_no_variant_draws_people_where_a_folder_is_given(settings: ArmsBench) -> None:
    assert all(
        variant.people == settings.people and variant.styles == settings.styles for variant in transfer(settings).values()
    )


def test_paper_has_no_captions_of_people_of_a_folder(people: Path, pipeline_folder: Path, tmp_path: Path) -> None:
    settings = PaperBench(
        people=people,
        victims=2,
        photos=(2,),
        defences=("scaling:factor=0.5",),
        arms=("lora-class",),
        base=str(pipeline_folder),
        recipe=_RECIPE,
        sampling=SampleSettings(images=2, steps=2),
    )
    cells = summaries(bench_paper(settings, tmp_path / "work"))
    assert [cell.adherence for cell in cells] == [None, None]
    assert "| none | 2 |" in as_markdown(cells)
    draw_pareto(cells, tmp_path / "figure")
    assert (tmp_path / "figure.png").is_file()


def test_a_split_says_who_may_be_a_victim_and_who_was_one_is_kept(settings: ArmsBench, people: Path, tmp_path: Path) -> None:
    split = PeopleSplit({"public": ("ada",), "quality": ("bo", "cy")})
    write_split(split, tmp_path / "kit-split.json")
    results = bench_arms(replace(settings, split=tmp_path / "kit-split.json"), tmp_path / "work")
    assert results["gallery"] == 2 and results["settings"]["part"] == "quality"
    parts = read_split(tmp_path / "work" / "split.json").parts
    assert sorted(parts["victims"]) == ["bo", "cy"] and parts["gallery"] == ()


def test_a_split_of_drawn_people_is_refused(settings: ArmsBench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="split is given without people"):
        replace(settings, people=None, split=tmp_path / "split.json")


def test_the_same_person_in_two_folders_is_told_before_anybody_is_trained_on(
    settings: ArmsBench, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(people / "ada" / "0.png", people / "cy" / "9.png")
    monkeypatch.setattr(Undefended, "finetune_together", lambda *_, **__: pytest.fail("trained before it was told"))
    with pytest.raises(pytest.fail.Exception):
        bench_arms(settings, tmp_path / "work")
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "seem to show the same person" in line]
    assert "ada" in told and "cy" in told


def test_a_kit_of_another_checkpoint_lends_other_people_and_no_control_adapters(settings: ArmsBench, tmp_path: Path) -> None:
    pocket = read_kit(POCKET_KIT)
    save_kit(replace(pocket, attack=None, sampling=replace(pocket.sampling, attack_sha256="")), tmp_path / "kit.safetensors")
    verdict = bench_arms(replace(settings, kit=str(tmp_path / "kit.safetensors")), tmp_path / "work")["verdict"]
    assert (verdict["controls"], verdict["other_people"]) == (0, 200) and verdict["own_photos"]["audits"] == 2
    assert "no other people" in bench_arms(settings, tmp_path / "work")["verdict"]["null"]
