import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from loraleak.adapters import load_adapter
from loraleak.cli import main

_NAME = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{_NAME}.lora.down.weight": torch.randn(3, 8, generator=generator),
        f"{_NAME}.lora.up.weight": torch.randn(8, 3, generator=generator),
    }
    path = tmp_path / "jane.safetensors"
    save_file(tensors, path, {"format": "pt", "ss_output_name": "jane\x1b[31m", "a\x1b[2J": "b"})
    return path


def _run(*arguments: object) -> int:
    return main(["scrub", *map(str, arguments)])


def _fault(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert _run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.strip().splitlines()) == 1
    return captured.err


def test_a_copy(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    assert _run(file, "-o", out) == 0
    printed = capsys.readouterr().out
    assert "2 tensors, bit by bit as they were" in printed
    assert "removed 2 fields: 1 high, 1 medium" in printed and "ss_output_name" in printed
    assert "\x1b" not in printed
    with safe_open(out, "pt") as copy:
        assert copy.metadata() == {"format": "pt"}


def test_json(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(file, "-o", tmp_path / "out.safetensors", "--json", "--keep", "ss_output_name") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "loraleak.scrub/1" and said["weights"] == "bit-identical" and said["backup"] is None
    assert said["removed"] == [{"field": "a\x1b[2J", "severity": "medium"}]
    assert said["kept"] == ["format", "ss_output_name"]
    assert said["sha256_after"] == load_adapter(tmp_path / "out.safetensors").sha256


def test_in_place_keeps_a_backup(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()
    assert _run(file, "--in-place") == 0
    backup = tmp_path / "jane.safetensors.backup"
    assert backup.read_bytes() == before != file.read_bytes()
    assert str(backup) in capsys.readouterr().out
    assert "is there already" in _fault(capsys, file, "--in-place")


def test_in_place_of_what_fails_leaves_all_as_it_was(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()
    assert "no field is called" in _fault(capsys, file, "--in-place", "--keep", "nothing")
    assert "no such file" in _fault(capsys, tmp_path / "none.safetensors", "--in-place")
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == [file.name] and file.read_bytes() == before


def test_a_defence(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    assert _run(file, "-o", out, "--defence", "rank-truncation:rank=1+gaussian-noise:level=0.1,seed=3", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["weights"] == "defended" and said["defence"] == "rank-truncation:rank=1+gaussian-noise:level=0.1,seed=3"
    defended = load_adapter(out)
    assert defended.ranks == (1, 1) and defended.factors[_NAME].scale == 1.0
    assert set(defended.metadata) == {"format", "lora_adapter_metadata"}
    assert b"jane" not in out.read_bytes() and b"seed" not in out.read_bytes()


def test_a_defence_that_needs_the_base(
    file: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    assert "--base" in _fault(capsys, file, "-o", out, "--defence", "spectral-alignment")
    assert _run(file, "-o", out, "--defence", "spectral-alignment", "--base", pipeline_folder, "--device", "cpu") == 0
    assert load_adapter(out).ranks == (2, 2)


def test_a_defence_never_drops_what_it_does_not_understand(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with safe_open(file, "pt") as old:
        tensors = {name: old.get_tensor(name) for name in old.keys()}  # noqa: SIM118
    save_file({**tensors, "strange": torch.ones(2)}, file)
    assert "not understood" in _fault(capsys, file, "-o", tmp_path / "out.safetensors", "--defence", "scaling")


def test_faulty_arguments(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give one of the two" in _fault(capsys, file)
    assert "give one of the two" in _fault(capsys, file, "-o", tmp_path / "x.safetensors", "--in-place")
    assert "is the file itself" in _fault(capsys, file, "-o", file)
    assert "choose from" in _fault(capsys, file, "-o", tmp_path / "x.safetensors", "--defence", "magic")


def test_a_value_can_be_replaced(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    assert _run(file, "-o", out, "--set", "ss_output_name=a=b") == 0
    with safe_open(out, "pt") as copy:
        assert copy.metadata() == {"format": "pt", "ss_output_name": "a=b"}
    capsys.readouterr()
    assert "--set takes FIELD=VALUE" in _fault(capsys, file, "-o", out, "--set", "ss_output_name")


@pytest.mark.parametrize("workers", [1, 2])
def test_all_files_of_a_folder(file: Path, tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    (folder / "in").mkdir(parents=True)
    for name in ("a", "in/b"):
        (folder / f"{name}.safetensors").write_bytes(file.read_bytes())
    (folder / "c.safetensors").write_text("<html>")
    assert _run(folder, "-o", out, "--json", "--workers", workers) == 2
    captured = capsys.readouterr()
    told = [json.loads(line)["out"] for line in captured.out.splitlines()]
    assert told == [str(out / "a.safetensors"), str(out / "in" / "b.safetensors")]
    assert "c.safetensors: it is a web page" in captured.err and captured.err.endswith("2 files scrubbed; 1 unusable\n")
    for path in map(Path, told):
        with safe_open(path, "pt") as copy:
            assert copy.metadata() == {"format": "pt"}
    assert "outside of the one that is scrubbed" in _fault(capsys, folder, "-o", folder / "in" / "out")
    (folder / "c.safetensors").unlink()
    assert _run(folder, "--in-place") == 0
    assert (folder / "in" / "b.safetensors.backup").read_bytes() == file.read_bytes()
