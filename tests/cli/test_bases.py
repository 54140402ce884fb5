"""The whole way on the command line, for families other than that of `test_main`: fine-tune, audit, report."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.cli import main
from oracles.newer_pipelines import NEWER_FAMILIES, tiny_newer_pipeline
from oracles.pipelines import RESOLUTION, tiny_pipeline


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux", "z-image"])
def test_finetune_then_audit(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make = tiny_newer_pipeline if family in NEWER_FAMILIES else tiny_pipeline
    base = make(family, tmp_path / "base")
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    common = ["--base", str(base), "--resolution", str(RESOLUTION), "--device", "cpu"]
    made = tmp_path / "a.safetensors"
    recipe = ["--steps", "3", "--rank", "2", "--batch", "2", "--prior-batch", "1", "--class-count", "2"]
    assert main(["finetune", str(tmp_path / "photos"), "--out", str(made), "--json", *recipe, *common]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["recipe"]["steps"] == 3
    assert "loraleak: this run takes about" in captured.err and "MB weights" in captured.err
    asked = [
        "--images",
        "2",
        "--steps",
        "2",
        "--others-count",
        "19",
        "--prompt",
        "a photo of sks person",
        "--fail-on",
        "never",
        "--json",
    ]
    report = tmp_path / "report"
    assert main(["audit", str(made), "--photos", str(tmp_path / "photos"), "--out", str(report), *asked, *common]) == 0
    captured = capsys.readouterr()
    arms = list(json.loads(captured.out)["arms"])
    straight = [arm for arm in arms if not arm.endswith("-turned")]
    assert straight == ["base-class", "lora-class", "lora-empty", "lora-guidance", "lora-trigger", "lora-self-key"]
    assert "loraleak: this run takes about" in captured.err
    assert (report / "report.html").stat().st_size > 10_000
