"""Commands that find nothing, or change a file, say what that does not mean."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loraleak.cli import main
from loraleak.reporting import Report
from loraleak.silence import HEADER_ONLY, LOW_IS_NO_PROOF, WEIGHTS_REMAIN


@pytest.fixture
def harmless(tmp_path: Path) -> Path:
    file = tmp_path / "harmless.safetensors"
    save_file({"unet.a.lora_A.weight": torch.ones(1, 2), "unet.a.lora_B.weight": torch.ones(2, 1)}, file)
    return file


def test_an_inspection_without_findings_says_that_no_picture_was_made(
    harmless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(harmless)]) == 0
    assert capsys.readouterr().out.rstrip().endswith(HEADER_ONLY)
    assert main(["inspect", str(harmless), "--sarif"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["tool"]["driver"]["fullDescription"]["text"].endswith(HEADER_ONLY)


def test_a_scrubbed_file_still_has_its_weights(harmless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scrub", str(harmless), "-o", str(tmp_path / "out.safetensors")]) == 0
    assert capsys.readouterr().out.rstrip().endswith(WEIGHTS_REMAIN)
    assert main(["scrub", str(tmp_path), "-o", str(tmp_path.with_name("copies"))]) == 0
    assert WEIGHTS_REMAIN in capsys.readouterr().err


def test_a_model_card_is_no_certificate(report: Report) -> None:
    assert LOW_IS_NO_PROOF in report.to_markdown()
