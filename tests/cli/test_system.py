"""The system under every command: places that cannot be written to, pipes that close, signals. One line or none, never a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loraleak.__main__ import main as start
from loraleak.assets import DEMO
from loraleak.cli import main

_ADAPTER, _PHOTOS = DEMO / "adapter.safetensors", DEMO / "photos"

FOLDERS = {
    "demo": ("demo", "-o", "OUT"),
    "audit": ("audit", _ADAPTER, "--photos", _PHOTOS, "-o", "OUT"),
    "attack": ("attack", _ADAPTER, "-o", "OUT"),
    "people": ("people", "OUT"),
    "zoo build": ("zoo", "build", "PEOPLE", "-o", "OUT"),
    "zoo defend": ("zoo", "defend", "ZOO", "--defence", "scaling", "-o", "OUT"),
    "bench arms": ("bench", "arms", "--work", "OUT"),
    "bench grid": ("bench", "grid", "transfer", "--work", "OUT"),
    "bench paper": ("bench", "paper", "--work", "OUT"),
    "bench probe": ("bench", "probe", "ZOO", "--people", "PEOPLE", "--work", "OUT"),
    "train's work": ("train", "ZOO", "--people", "PEOPLE", "--work", "OUT", "-o", "NEW"),
    "pocket build": ("pocket", "build", "--work", "OUT"),
    "kit build's work": ("kit", "build", "--people", "PEOPLE", "--work", "OUT", "-o", "NEW"),
    "kit verify": ("kit", "verify", "pocket", "--people", "PEOPLE", "--work", "OUT"),
}
FILES = {
    "finetune": ("finetune", _PHOTOS, "-o", "OUT"),
    "scrub": ("scrub", _ADAPTER, "-o", "OUT"),
    "zoo export": ("zoo", "export", "ZOO", "person", "-o", "OUT"),
    "train": ("train", "ZOO", "--people", "PEOPLE", "-o", "OUT"),
    "kit build": ("kit", "build", "--people", "PEOPLE", "-o", "OUT"),
}
COMMANDS = {**FOLDERS, **FILES}


def _fault(capsys: pytest.CaptureFixture[str], command: tuple[object, ...], out: Path, tmp_path: Path) -> str:
    places = {"OUT": out, "PEOPLE": tmp_path / "people", "ZOO": tmp_path / "zoo", "NEW": tmp_path / "new"}
    assert main([str(places.get(word, word) if isinstance(word, str) else word) for word in command]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("loraleak: ") and str(out) in line and ": " in line.removeprefix("loraleak: ")
    return line


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_under_a_file(command: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    line = _fault(capsys, command, tmp_path / "file" / "deep" / "out", tmp_path)
    assert "is a file, so nothing can be in it" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", FOLDERS.values(), ids=FOLDERS)
def test_a_file_where_a_folder_is_wanted(
    command: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert "it is a file, and a folder is wanted" in _fault(capsys, command, tmp_path / "file", tmp_path)


@pytest.mark.parametrize("command", FILES.values(), ids=FILES)
def test_a_folder_where_a_file_is_wanted(
    command: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert "it is a folder" in _fault(capsys, command, tmp_path / "folder", tmp_path)


@pytest.mark.parametrize("command", FILES.values(), ids=FILES)
def test_a_file_that_is_there(command: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert "--overwrite to replace it" in _fault(capsys, command, tmp_path / "file", tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_read_only_disk(
    command: tuple[object, ...], read_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Read-only file system" in _fault(capsys, command, read_only / "out", tmp_path)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_full_disk(command: tuple[object, ...], small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (small_disk / "fills").open("wb") as file:
        file.write(bytes(4 * 2**20 - 2**16))
    line = _fault(capsys, command, small_disk / "out", tmp_path)
    assert "are free: free some space, or give another place" in line or "No space left" in line
    assert [f.name for f in small_disk.iterdir()] == ["fills"]


def test_a_run_that_fills_the_disk_leaves_nothing(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_disk / "fills").write_bytes(bytes(5 * 2**19))
    assert main(["people", str(small_disk / "out"), "--count", "1", "--images", "300", "--size", "16"]) == 2
    assert "No space left" in capsys.readouterr().err and [f.name for f in small_disk.iterdir()] == ["fills"]


def test_a_user_without_a_home(pipeline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number: no HOME, and no entry among the users."""

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = tmp_path / "mine.safetensors"
    on_base = ("--base", pipeline_folder, "--device", "cpu")
    few = (*on_base, "--arms", "lora-class", "--images", "2", "--steps", "2")
    for command in (
        ("people", tmp_path / "people", "--count", "1", "--images", "2", "--size", "16"),
        ("finetune", _PHOTOS, *on_base, "--steps", "1", "--class-count", "2", "--rank", "2", "-o", mine),
        ("inspect", mine),
        ("scrub", mine, "-o", tmp_path / "scrubbed.safetensors"),
        ("attack", mine, *few, "-o", tmp_path / "made"),
        ("audit", mine, "--photos", _PHOTOS, *few, "--others-count", "19", "--fail-on", "never", "-o", tmp_path / "report"),
    ):
        assert main([str(word) for word in command]) == 0, command
    assert list(tmp_path.glob("loraleak-*/people-*")), "people whom the base draws are kept in the temporary folder"


def _start(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "loraleak", *map(str, arguments)], stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [("--help",), ("inspect", _ADAPTER, "--json"), ("inspect", _ADAPTER), ("--version",)])
def test_a_closed_pipe_ends_quietly(arguments: tuple[object, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = _start(*arguments, stdout=writer)
    os.close(writer)
    _, said = process.communicate(timeout=120)
    assert said == b"" and process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_stdout_on_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        process = _start("inspect", _ADAPTER, "--json", stdout=full)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and said.count(b"\n") == 1 and b"No space left on device" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_without_traceback_and_without_partial_files(tmp_path: Path, number: int) -> None:
    process = _start(
        *("people", tmp_path / "out", "--count", "20", "--images", "1000"),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )
    while not any(
        file.endswith(".png") for home, _, files in os.walk(tmp_path) if ".partial" in home for file in files
    ):  # it writes
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 128 + number and b"Traceback" not in said
    assert [f.name for f in tmp_path.iterdir() if f.name != "cwd"] == []
    assert number != signal.SIGINT or b"interrupted; nothing was written; the same command starts anew" in said


def test_an_interrupt_while_it_starts_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("loraleak.cli.main", interrupted)
    assert start() == 130 and capsys.readouterr().err == "loraleak: interrupted\n"
