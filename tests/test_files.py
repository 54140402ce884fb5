"""A file is there whole or not at all."""

import json
import stat
from pathlib import Path

import pytest

from loraleak.files import PARTIAL, replacing, replacing_folder, write_bytes, write_json, write_text


def test_text_is_utf8_with_its_line_ends_kept_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.txt"
    write_text(path, "Zürich\r\n“α”\n")
    assert path.read_bytes() == "Zürich\r\n“α”\n".encode()


def test_writing_again_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_bytes(path, b"a long first version")
    write_bytes(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_json_reads_back_and_ends_in_a_line(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True], "b": {"“c”": "d"}}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text("utf-8")
    assert json.loads(text) == value and text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"deep": [-float("inf")]}, object()])
def test_what_is_no_json_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    path = tmp_path / "x.json"
    write_json(path, "old")
    with pytest.raises((ValueError, TypeError)):
        write_json(path, value)
    assert path.read_text() == '"old"\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    def broken_off() -> None:
        with replacing_folder(tmp_path / "model") as partial:
            partial.mkdir()
            (partial / "weights").write_bytes(b"half")
            raise fault

    with pytest.raises(fault):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_is_seen_by_nobody_else_and_found_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "photos.npz"
    with replacing(path) as partial:
        partial.write_bytes(b"half")
        assert partial.name == path.name and not path.exists()
        (beside,) = path.parent.glob(PARTIAL)
        assert stat.S_IMODE(beside.stat().st_mode) == 0o700
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    assert path.stat().st_mode == usual.stat().st_mode and list(path.parent.iterdir()) == [path]


def test_a_partial_file_is_its_owners_alone_and_modes_are_kept(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("")
    old.chmod(0o640)
    for path in (old, new):
        with replacing(path) as partial:
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
            partial.write_text("text")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    with replacing(tmp_path / "secret", mode=0o600) as partial:
        partial.write_text("text")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("later")
    write_text(tmp_path / "link", "new")
    write_text(tmp_path / "dangling", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "later").read_text() == "new"


def test_a_full_disk_is_told_as_such_whatever_the_library_says(small_disk: Path) -> None:
    def write() -> None:
        with replacing(small_disk / "x.pt") as partial:
            try:
                partial.write_bytes(bytes(2**23))
            except OSError:
                raise RuntimeError("writer failed") from None

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.filename == str(small_disk / "x.pt") and list(small_disk.iterdir()) == []
