"""`loraleak decoys`: a folder that the defence takes, of people whom nobody can draw again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.cli import main

_SHORT = ("--images", "3", "--steps", "2")


def _pixels(folder: Path) -> list[bytes]:
    return [Image.open(file).tobytes() for file in sorted(folder.rglob("*/*.png"))]


def test_from_no_photos_of_strangers_to_a_defended_adapter(
    tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = ("--base", str(pipeline_folder))
    assert main(["decoys", str(tmp_path / "decoys"), "--count", "4", *_SHORT, *on, "--json"]) == 0
    folders = json.loads(capsys.readouterr().out)
    assert folders == [str(tmp_path / "decoys" / f"person-{i:03d}") for i in range(4)]
    assert (tmp_path / "decoys" / "sheet.png").exists() and len(_pixels(tmp_path / "decoys")) == 12
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    defence = f"decoys:people={tmp_path / 'decoys'},count=2,rank=2"
    short = ("--steps", "2", "--rank", "2", "--class-count", "2", *on)
    assert main(["finetune", str(photos), "-o", str(tmp_path / "a.safetensors"), "--defence", defence, *short]) == 0
    assert main(["decoys", str(tmp_path / "others"), "--count", "4", *_SHORT, *on]) == 0
    assert "Look at" in capsys.readouterr().out
    assert set(_pixels(tmp_path / "decoys")).isdisjoint(_pixels(tmp_path / "others"))


def test_descriptions_are_checked_first(tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, on = tmp_path / "people.txt", ("--base", str(pipeline_folder))
    file.write_text("a tall woman with red hair\n\nan old man\n")
    given = ["decoys", str(tmp_path / "decoys"), "--descriptions", str(file)]
    assert main([*given, "--count", "3", *on]) == 2
    assert "it describes 2 different people, and --count is 3: give --count 2" in capsys.readouterr().err
    assert main([*given, "--count", "2"]) == 2
    assert "pocket knows few words" in capsys.readouterr().err
    assert main([*given, "--count", "2", *_SHORT, *on]) == 0
    assert len(_pixels(tmp_path / "decoys")) == 6
    file.write_bytes(b"\xff\xfe\xff")
    assert main([*given, "--count", "2", *on, "--overwrite"]) == 2
    assert "it cannot be read (UnicodeDecodeError)" in capsys.readouterr().err
