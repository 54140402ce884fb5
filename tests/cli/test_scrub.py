import json
import os
import stat
import subprocess
import sys
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
    assert _run(folder, "-o", out) == 2
    assert "it is there already" in capsys.readouterr().err
    assert _run(folder, "-o", out, "--overwrite") == 2
    assert "2 files scrubbed; 1 unusable" in capsys.readouterr().err
    assert "outside of the one that is scrubbed" in _fault(capsys, folder, "-o", folder / "in" / "out")
    (folder / "c.safetensors").unlink()
    os.link(folder / "a.safetensors", tmp_path / "other-name")
    assert _run(folder, "--in-place") == 0
    assert "1 other name (hard links)" in capsys.readouterr().out
    assert (folder / "in" / "b.safetensors.backup").read_bytes() == file.read_bytes()


def test_what_is_there_is_not_replaced_in_silence(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    assert "--overwrite" in _fault(capsys, file, "-o", out) and out.read_text() == "mine"
    assert _run(file, "-o", out, "--overwrite") == 0 and load_adapter(out).factors


def test_in_place_of_a_link_scrubs_its_target(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "links" / "link.safetensors"
    link.parent.mkdir()
    link.symlink_to(file)
    assert _run(link, "--in-place") == 0
    assert link.is_symlink() and b"jane" not in file.read_bytes()
    assert b"jane" in file.with_name(f"{file.name}.backup").read_bytes()
    assert "is a link" in capsys.readouterr().out and [f.name for f in link.parent.iterdir()] == [link.name]


def test_in_place_warns_of_hard_links_and_keeps_the_mode(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.chmod(0o640)
    os.link(file, tmp_path / "other-name")
    assert _run(file, "--in-place") == 0
    assert "1 other name" in capsys.readouterr().out and stat.S_IMODE(file.stat().st_mode) == 0o640
    assert b"jane" in (tmp_path / "other-name").read_bytes()


def test_in_place_on_a_full_disk_leaves_all_as_it_was(file: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = small_disk / file.name
    save_file(
        {f"{_NAME}.lora.down.weight": torch.ones(4, 90_000), f"{_NAME}.lora.up.weight": torch.ones(90_000, 4)},
        there,
        {"ss_output_name": "jane"},
    )
    before = there.read_bytes()
    assert len(before) > 2 * 2**20
    assert "free some space" in _fault(capsys, there, "--in-place")
    assert there.read_bytes() == before and [f.name for f in small_disk.iterdir()] == [there.name]


_KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
import loraleak.adapters
from loraleak.cli.scrub import Scrub

original, folder, in_place = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "in place"
source = folder / original.name if in_place else original
command = Scrub(source, None if in_place else folder / "out.safetensors", in_place=in_place)
chance, whole = random.Random(0), 0.0
for attempt in range(21):
    shutil.rmtree(folder)
    folder.mkdir()
    if in_place:
        shutil.copy(original, source)
    begun = time.monotonic()
    if not (child := os.fork()):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        command.run()
        os._exit(0)
    if attempt:  # the first one tells how long it takes
        time.sleep(chance.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    whole = whole or time.monotonic() - begun
    for file in folder.rglob("*"):
        if file.is_file():
            private = b"jane-the-private" in file.read_bytes()
            print(attempt, file.relative_to(folder), private, oct(file.stat().st_mode & 0o777), oct(file.parent.stat().st_mode & 0o777))
"""


@pytest.mark.parametrize("in_place", [False, True])
def test_no_private_text_survives_a_kill(tmp_path: Path, in_place: bool) -> None:
    """Killed at 20 random moments, the private text is where it was, in a backup that is named so, and nowhere else."""
    tensors = {f"{_NAME}.lora.down.weight": torch.ones(64, 40_000), f"{_NAME}.lora.up.weight": torch.ones(8, 64)}
    original, folder = tmp_path / "big.safetensors", tmp_path / "shared"
    save_file(tensors, original, {"ss_output_name": "jane-the-private"})
    folder.mkdir()
    arguments = [str(original), str(folder), "in place" if in_place else "copy"]
    told = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in told.splitlines()]
    assert found[0][0] == "0" and (not in_place or {line[0] for line in found} == {str(i) for i in range(21)})
    for _, name, private, mode, folders_mode in found:
        assert private == "False" or (in_place and name in ("big.safetensors", "big.safetensors.backup"))
        assert ".partial" not in name or (mode == "0o600" and folders_mode == "0o700")


def test_a_backup_of_a_run_that_was_killed_stands_in_nobodys_way(file: Path) -> None:
    os.link(file, file.with_name(f"{file.name}.backup"))
    assert _run(file, "--in-place") == 0 and b"jane" not in file.read_bytes()
