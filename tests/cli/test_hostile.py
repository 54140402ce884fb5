"""Files whose every text is an attack on the terminal: what the verbs print of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from hostile_texts import CONTROLS, MARKUP, hostile_lora, is_plain
from loraleak.cli import main

_BLOCK = "unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
_NAME = "".join(CONTROLS).replace("/", "").replace("\x00", "").replace(".", "")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout and stderr of one command, all of it fit for a terminal."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert is_plain(captured.out) and is_plain(captured.err)
        return code, captured.out, captured.err

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    stems = (f"lora_{_BLOCK}", f"lora_unet_{_NAME}")
    tensors = {f"{stem}.lora_{side}.weight": torch.ones(2, 2) for stem in stems for side in ("down", "up")}
    (tmp_path / _NAME[:60]).mkdir()
    return hostile_lora(tmp_path / _NAME[:60] / f"{_NAME[:80]}.safetensors", tensors, torch.ones(1, 2))


def test_inspect(file: Path, run: Run) -> None:
    code, out, err = run("inspect", file)
    assert (code, err) == (1, "") and "captions" in out and "not understood" in out
    assert max(map(len, out.splitlines())) < 3000
    code, out, _ = run("inspect", file, "--json")
    assert code == 1 and out.isascii() and len(json.loads(out)["metadata"]) > len(MARKUP)
    code, out, _ = run("inspect", file, "--sarif")
    assert code == 1 and out.isascii() and len(json.loads(out)["runs"][0]["results"]) > len(MARKUP)


def test_scrub(file: Path, tmp_path: Path, run: Run) -> None:
    code, out, err = run("scrub", file, "-o", file.with_name(f"{file.stem}-clean.safetensors"))
    assert (code, err) == (0, "") and "removed" in out
    code, out, _ = run("scrub", file, "-o", tmp_path / "clean.safetensors", "--json")
    assert code == 0 and out.isascii() and len(json.loads(out)["removed"]) > len(MARKUP)
    code, out, _ = run("scrub", file, "--in-place")
    assert code == 0 and "backup, not to be shared" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "absent"),
        ("inspect", "pickle"),
        ("inspect", "folder"),
        ("scrub", "absent", "-o", "out"),
        ("scrub", "file", "-o", "file"),
        ("scrub", "file", "-o", "folder"),
        ("scrub", "file", "-o", "out", "--keep", "no\x1b[2J such"),
        ("scrub", "file", "-o", "out", "--defence", "scaling"),
        ("scrub", "file", "-o", "out", "--defence", "magic\x1b[2J"),
        ("audit", "file", "--photos", "folder"),
        ("audit", "file", "--photos", "absent"),
        ("audit", "file", "--photos", "photos"),
        ("audit", "absent", "--photos", "photos"),
    ],
    ids=" ".join,
)
def test_faults(file: Path, arguments: tuple[str, ...], run: Run) -> None:
    places = {name: file.with_name(f"{file.stem}-{name}") for name in ("absent", "pickle", "folder", "photos", "out")}
    places["pickle"].write_bytes(b"PK\x03\x04" + bytes(40))
    places["folder"].mkdir()
    places["photos"].mkdir()
    (places["photos"] / f"{_NAME[:80]}.png").write_bytes(b"\x89PNG\r\n\x1a\n\x1b[2J")
    code, out, err = run(arguments[0], *({**places, "file": file}.get(a, a) for a in arguments[1:]))
    assert (code, out) == (2, "")
    assert err.startswith("loraleak: ") and err.count("\n") == 1


def test_an_adapter_of_another_base(file: Path, pipeline_folder: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "a.png")
    code, _, err = run("audit", file, "--photos", tmp_path / "photos", "--base", pipeline_folder, "--device", "cpu")
    assert code == 2 and "does not fit base" in err


def test_an_internal_failure(file: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise RuntimeError(_NAME)

    monkeypatch.setattr("loraleak.inspection.many.inspect_cached", fail)
    code, _, err = run("inspect", file)
    assert code == 3 and "please report the lines above" in err and "RuntimeError" in err
