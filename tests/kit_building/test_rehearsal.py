"""A dress rehearsal that is not pocket: photographs of faces, a tiny pipeline, and public commands only.

It shows that nothing in the chain assumes pocket. It says nothing about how strong an attack is: the pipeline draws noise.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from loraleak.cli import main


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    root = Path(os.environ.get("LORALEAK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "faces-london"
    if not root.is_dir():
        pytest.skip("no photographs of faces: set LORALEAK_TEST_DATA to the folder that holds faces-london/")
    for home in sorted(root.iterdir())[:17]:
        copy = tmp_path / ("kit-people" if len(list(tmp_path.glob("kit-people/*"))) < 14 else "victims") / home.name
        copy.mkdir(parents=True)
        for file in sorted(home.glob("*.jpg"))[:4]:
            shutil.copy(file, copy)
    return tmp_path


def _loraleak(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def _another_checkpoint(folder: Path, copy: Path) -> Path:
    """A pipeline of the same shapes with other weights."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    with torch.no_grad():
        pipeline.unet.conv_in.weight += 0.01
    pipeline.save_pretrained(copy)
    return copy


def test_from_folders_of_people_to_an_audit_with_their_kit(
    faces: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    on, few = ("--base", pipeline_folder, "--device", "cpu"), ("--images", 2, "--steps", 2)
    kit, work = tmp_path / "kit.safetensors", tmp_path / "work"
    split = ("--controls", 3, "--others", 4, "--quality", 2, "--photos", 2)
    sampled = ("--pictures", 2, "--sampler-steps", 2, "--train-steps", 2, "--train-batch", 4)
    recipe = ("--ranks", 1, 2, "--steps", 2, 3, "--images", 2, 3, "--batch", 1, "--prior-batch", 1, "--class-count", 2)
    told = ("--source", "Face Research Lab London Set", "--licence", "CC BY 4.0", "--snapshots", 2, "--workers", 1)
    people = ("--people", faces / "kit-people", "--work", work)
    out, err = _loraleak(capsys, "kit", "build", *people, "-o", kit, *on, *split, *sampled, *recipe, *told, "--together", 4)
    assert err.index("this kit takes about") < err.index("looking at everybody")
    assert "Face Research Lab London Set" in out and "biometric data" in out and str(tmp_path) not in out

    card = json.loads(_loraleak(capsys, "kit", "show", kit, "--json")[0])
    assert card["card"]["people"] == {"attack": 5, "controls": 3, "templates": 4, "quality": 2}
    assert card["card"]["embedder"] == "faces" and card["controls"] == 3
    assert Path(_loraleak(capsys, "kit", "install", kit)[0].strip()).is_file()

    checked = json.loads(
        _loraleak(
            capsys, "kit", "verify", kit, "--people", faces / "victims", "--work", tmp_path / "check", *on, "--photos", 2,
            "--images", 2, "--steps", 1, "--prior-batch", 0, "--json",
        )[0]
    )  # fmt: skip
    assert checked["victims"] == 3 and checked["wrong_audits"] == 6

    mine, wrong = sorted((faces / "victims").iterdir())[:2]
    lora = tmp_path / "mine.safetensors"
    _loraleak(capsys, "finetune", mine, "-o", lora, "--steps", 1, "--prior-batch", 0, *on)
    for name, photos in {"right": mine, "wrong": wrong}.items():
        _loraleak(capsys, "audit", lora, "--photos", photos, "-o", tmp_path / name, *few, *on, "--fail-on", "never")
        report = json.loads((tmp_path / name / "report.json").read_text())
        assert report["settings"]["kit_sha256"] and report["settings"]["attack_sha256"]
        assert "3 control adapters" in report["verdict"]["null"] and "4 people who come with" in report["verdict"]["null"]
        assert "lora-z" in report["arms"] and (tmp_path / name / "report.html").is_file()

    other = _another_checkpoint(pipeline_folder, tmp_path / "other")
    elsewhere = ("--base", other, "--device", "cpu")
    there = tmp_path / "there.safetensors"
    _loraleak(capsys, "finetune", mine, "-o", there, "--steps", 1, "--prior-batch", 0, *elsewhere)
    kitted = ("--kit", kit, "-o", tmp_path / "there", *few, *elsewhere, "--fail-on", "never")
    _loraleak(capsys, "audit", there, "--photos", mine, *kitted)
    report = json.loads((tmp_path / "there" / "report.json").read_text())
    assert any("made for another checkpoint" in limit for limit in report["limits"]) and "lora-z" in report["arms"]
    assert "control adapters" not in report["verdict"]["null"] and "4 people who come with the kit" in report["verdict"]["null"]

    victims = ("--people", faces / "victims", "--victims", 2, "--embedder", "faces", *few, *on)
    benched = ("--work", tmp_path / "bench", "--arms", "lora-class", "lora-z")
    arms = json.loads(_loraleak(capsys, "bench", "arms", *benched, "--photos", 2, *victims, "--json")[0])
    assert (arms["victims"], arms["gallery"]) == (2, 3) and arms["verdict"]["controls"] == 3
    flagged = arms["verdict"]["own_photos"]["flagged"]["mean"]
    assert flagged == 0, "with 3 controls and 4 people no p-value can be small, and an undecided audit flags nobody"
    defended = ("--defences", "scaling:factor=0.5", "--photos", 2)
    paper = json.loads(_loraleak(capsys, "bench", "paper", *benched, *defended, *victims, "--json")[0])
    assert [cell["defence"] for cell in paper] == ["", "scaling:factor=0.5"]
