"""`loraleak inspect` as a gate: what stands on stdout, and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loraleak.cli import main


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{stem}.lora_down.weight": torch.ones(2, 768), f"{stem}.lora_up.weight": torch.ones(640, 2)}
    save_file(tensors, tmp_path / "lora.safetensors", {"ss_output_name": "anna"})
    return tmp_path / "lora.safetensors"


@pytest.mark.parametrize(("level", "code"), [("critical", 0), ("high", 1), ("medium", 1), ("never", 0)])
def test_the_gate_is_the_exit_code(adapter: Path, level: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(adapter), "--fail-on", level]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "base     Stable Diffusion 1.x" in captured.out
    assert "high     ss_output_name: Says what its maker called the file: “anna”." in captured.out


def test_json_and_sarif_stand_alone_on_stdout(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(adapter), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["schema"] == "loraleak.inspect/1"
    assert main(["inspect", str(adapter), "--sarif", "--fail-on", "critical"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


def test_several_files_make_one_gate(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harmless = tmp_path / "harmless.safetensors"
    save_file({"unet.a.lora_A.weight": torch.ones(1, 2), "unet.a.lora_B.weight": torch.ones(2, 1)}, harmless)
    assert main(["inspect", str(harmless), str(adapter), "--json"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["file"]["path"] for line in lines] == [str(harmless), str(adapter)]
    assert main(["inspect", str(harmless), str(adapter), "--sarif"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (len(run["artifacts"]), len(run["results"])) == (2, 1)
    assert main(["inspect", str(harmless)]) == 0
    assert "its header gives nothing away" in capsys.readouterr().out


def test_usable_files_are_told_even_where_others_are_not(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pickles = [tmp_path / "a.bin", tmp_path / "b.ckpt"]
    for pickle in pickles:
        pickle.write_bytes(b"PK\x03\x04" + bytes(40))
    assert main(["inspect", str(pickles[0]), str(adapter), str(pickles[1]), "--sarif"]) == 4
    captured = capsys.readouterr()
    (log,) = json.loads(captured.out)["runs"]
    assert len(log["artifacts"]) == 1
    *faults, summary = captured.err.splitlines()
    assert [fault.count("it is a pickle") for fault in faults] == [1, 1]
    assert summary == "loraleak: 1 files inspected, 1 of them with a finding at or above high; 2 unusable"
    assert main(["inspect", str(pickles[0]), str(adapter), "--fail-on", "critical"]) == 2


@pytest.fixture
def uploads(adapter: Path, tmp_path: Path) -> Path:
    """A folder as a platform has it: six files in two folders, one of them no safetensors file, a PEFT folder, and hidden files."""
    folder = tmp_path / "uploads"
    (folder / "b" / ".cache").mkdir(parents=True)
    for name in ("a1", "a2", "b/b1", "b/b2", "b/.cache/c", "b/._b1"):
        (folder / f"{name}.safetensors").write_bytes(adapter.read_bytes())
    (folder / "b" / "b3.safetensors").write_bytes(b"PK\x03\x04" + bytes(40))
    (folder / "peft").mkdir()
    tensors = {"base_model.model.a.lora_A.weight": torch.ones(1, 2), "base_model.model.a.lora_B.weight": torch.ones(2, 1)}
    save_file(tensors, folder / "peft" / "adapter_model.safetensors")
    (folder / "peft" / "adapter_config.json").write_text('{"r": 1, "lora_alpha": 3}')
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_all_files_of_a_folder_are_inspected_in_order(uploads: Path, workers: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(uploads), "--json", "--workers", str(workers)]) == 4
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    names = ["a1", "a2", "b/b1", "b/b2", "peft/adapter_model"]
    assert [one["file"]["path"] for one in found] == [str(uploads / f"{name}.safetensors") for name in names]
    assert found[-1]["modules"][0]["scale"] == 3
    assert "b3.safetensors: it is a pickle" in captured.err
    assert captured.err.endswith("5 files inspected, 4 of them with a finding at or above high; 1 unusable\n")


def test_a_cache_gives_what_was_found_before(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache"
    told = []
    for name in ("first", "second"):
        copy = tmp_path / f"{name}.safetensors"
        copy.write_bytes(adapter.read_bytes())
        assert main(["inspect", str(copy), "--json", "--cache", str(cache)]) == 1
        told.append(json.loads(capsys.readouterr().out))
        assert told[-1]["file"].pop("path") == str(copy)
    (kept,) = cache.iterdir()
    assert told[0] == told[1]
    kept.write_text("{}")
    assert main(["inspect", str(adapter), "--json", "--cache", str(cache)]) == 1
    assert json.loads(capsys.readouterr().out)["modules"] == told[0]["modules"]
    assert main(["inspect", str(adapter), "--cache", str(adapter)]) == 2
    assert "it is a file, and a folder is wanted" in capsys.readouterr().err


def test_a_folder_without_files_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "hold no .safetensors file" in capsys.readouterr().err


def test_files_are_inspected_without_torch(adapter: Path) -> None:
    run = f"from loraleak.cli import main; main(['inspect', {str(adapter)!r}])"
    code = f"import sys; {run}; print({{'torch', 'scipy'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_no_file_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect"]) == 2
    assert "no file is given" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--json", "--sarif"], []])
def test_what_cannot_be_inspected_is_one_line_and_exit_code_2(
    adapter: Path, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = adapter if arguments else tmp_path / "absent\x1b[2J.safetensors"
    assert main(["inspect", str(file), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("loraleak: ")
    assert captured.err.count("\n") == 1
    assert captured.err.strip().isprintable()


def test_text_can_be_printed_where_the_terminal_is_not_utf8(
    adapter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii", errors="strict") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["inspect", str(adapter)]) == 1
    assert "anna" in (tmp_path / "out").read_text()
