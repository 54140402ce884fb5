"""A result goes where it was asked for, or one line says why not, before the work; two runs never mix."""

import json
from pathlib import Path

import pytest

from loraleak.errors import OutputError
from loraleak.files import write_text
from loraleak.outputs import MARKER, check_folder, check_new, check_room, check_work, run_folder, save


def _tree(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file() and f.name != MARKER}


def _run(folder: Path, files: dict[str, str], *, command: str = "audit", overwrite: bool = False) -> None:
    with run_folder(folder, command, overwrite=overwrite) as partial:
        for name, text in files.items():
            write_text(partial / name, text)


def test_a_new_file_may_be_written_and_checking_leaves_nothing(tmp_path: Path) -> None:
    check_new(tmp_path / "new" / "folder" / "x.safetensors")
    check_new(tmp_path / "peft", folder=True)
    check_folder(tmp_path / "report", "audit")
    check_work(tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_if_asked(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("mine")
    with pytest.raises(OutputError, match="it is there already: give another name, or --overwrite"):
        check_new(file)
    check_new(file, overwrite=True)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(OutputError, match="there already"):
        check_new(tmp_path / "link")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing yet")
    check_new(tmp_path / "dangling")
    folder = tmp_path / "peft"
    folder.mkdir()
    check_new(folder, folder=True)
    (folder / "weights").write_text("mine")
    with pytest.raises(OutputError, match="there already"):
        check_new(folder, folder=None)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="it is a folder, and a file is wanted"):
        check_new(tmp_path, overwrite=True)
    for check in (lambda: check_new(tmp_path / "file", folder=True), lambda: check_folder(tmp_path / "file", "audit")):
        with pytest.raises(OutputError, match="it is a file, and a folder is wanted"):
            check()
    with pytest.raises(OutputError, match="is a file, so nothing can be in it"):
        check_new(tmp_path / "file" / "deep" / "x")
    with pytest.raises(OutputError, match="a device or a pipe"):
        check_new(Path("/dev/null"), overwrite=True)
    with pytest.raises(OSError, match="File name too long"):
        check_new(tmp_path / ("n" * 300))


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"about 1000000000\.0 GB are needed and .* are free: free some space"):
        check_room(tmp_path / "new" / "x", 10**18)


def test_a_read_only_disk_is_told(read_only: Path) -> None:
    for check in (check_new, check_work):
        with pytest.raises(OutputError, match="Read-only file system"):
            check(read_only / "x")


def test_a_run_appears_whole_with_its_marker(tmp_path: Path) -> None:
    _run(tmp_path / "report", {"a.txt": "1", "deep/b.txt": "2"})
    assert _tree(tmp_path / "report") == {"a.txt": "1", "deep/b.txt": "2"}
    marker = json.loads((tmp_path / "report" / MARKER).read_text())
    assert marker == {"schema": "loraleak.run/1", "command": "audit", "files": ["a.txt", "deep/b.txt"]}
    assert [f.name for f in tmp_path.iterdir()] == ["report"]


def test_runs_never_mix(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    _run(folder, {"a.txt": "1", "deep/b.txt": "2"})
    (folder / "notes.txt").write_text("the user's")
    with pytest.raises(OutputError, match="it holds an earlier run: give another folder, or --overwrite"):
        _run(folder, {"c.txt": "3"})
    with pytest.raises(OutputError, match="it holds what `loraleak audit` made: give another folder"):
        _run(folder, {"c.txt": "3"}, command="people", overwrite=True)
    _run(folder, {"a.txt": "new", "c.txt": "3"}, overwrite=True)
    assert _tree(folder) == {"a.txt": "new", "c.txt": "3", "notes.txt": "the user's"}
    assert not (folder / "deep").exists()
    assert {f.name for f in folder.iterdir()} == {"a.txt", "c.txt", "notes.txt", MARKER}


def test_a_folder_of_somebody_else_is_refused_and_an_empty_one_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / ".DS_Store").write_text("")
    _run(folder, {"a.txt": "1"})
    assert (folder / "a.txt").read_text() == "1"
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("")
    with pytest.raises(OutputError, match=r"it holds other files \(mine\.txt\): give a new or an empty folder"):
        _run(other, {"a.txt": "1"}, overwrite=True)


def test_a_marker_of_a_stranger_removes_nothing_outside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "report", tmp_path / "outside.txt"
    outside.write_text("mine")
    _run(folder, {"a.txt": "1"})
    marker = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps({**marker, "files": ["../outside.txt"]}))
    with pytest.raises(OutputError, match="it holds other files"):
        _run(folder, {"a.txt": "2"}, overwrite=True)
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_run_that_breaks_off_leaves_what_was(tmp_path: Path, there: bool, fault: type[BaseException]) -> None:
    folder = tmp_path / "report"
    if there:
        _run(folder, {"a.txt": "1"})

    def broken_off() -> None:
        with run_folder(folder, "audit", overwrite=True) as partial:
            write_text(partial / "a.txt", "half")
            raise fault

    with pytest.raises(fault):
        broken_off()
    assert folder.exists() is there
    assert not there or (_tree(folder) == {"a.txt": "1"} and len(list(folder.iterdir())) == 2)


def test_a_full_disk_leaves_no_half_report(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        _run(small_disk / "report", {"a.txt": "1", "b.txt": "x" * 2**23})
    assert list(small_disk.iterdir()) == []


def test_a_result_that_cannot_be_written_is_kept_elsewhere_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("loraleak.outputs.gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "x.txt"
    with pytest.raises(OutputError) as caught:
        save(place, lambda path: write_text(path, "hours of work"))
    (kept,) = (tmp_path / "temporary").rglob("x.txt")
    assert kept.read_text() == "hours of work" and f"the result is kept in {kept}" in str(caught.value)
    save(tmp_path / "y.txt", lambda path: write_text(path, "1"))
    assert (tmp_path / "y.txt").read_text() == "1"
