"""Writers of files and folders that never leave half of one: they write to a private place nearby, then rename."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loraleak.errors import LoraleakError

__all__ = [
    "PARTIAL",
    "followed",
    "json_bytes",
    "replacing",
    "replacing_folder",
    "told_if_full",
    "write_bytes",
    "write_json",
    "write_text",
]

PARTIAL = ".*.partial"
"""Pattern of the names that a killed process leaves beside a file that it was writing."""


_FULL = 2**16
"""Fewest free bytes of a disk that is not full."""


def followed(path: Path) -> Path:
    """The file or folder that is written for a path: where it is a symbolic link, what it leads to."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Context with a partial file to write to. At the end it takes the place of `path`, or of what the link `path` leads to.

    The partial file has the same name and is its owner's alone, in a folder beside `path` that only the owner may enter. A missing
    parent is made. If writing fails, the partial file is removed, and `path` stays as it was. Mode and owner of a file that is
    replaced are kept; a new one gets `mode`, or the usual one.
    Raises: OSError, which names `path`, if it cannot be written.
    """
    with _beside(path) as partial:
        usual = _usual_mode(partial)
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        yield partial
        target = followed(path)
        if target.exists():
            _keep_owner(partial, target)
        else:
            partial.chmod(usual if mode is None else mode)
        partial.replace(target)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Context with the path of a folder to make, as `replacing`. It can take the place of an empty folder, but of no other."""
    with _beside(path) as partial:
        yield partial
        partial.replace(followed(path))


@contextmanager
def told_if_full(folder: Path) -> Iterator[None]:
    """Context in which a failure of any kind, while the folder's disk is full, is a full disk: libraries tell of it in many ways.

    Raises: OSError, in the place of the library's error.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | LoraleakError) or shutil.disk_usage(folder).free > _FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    target = followed(path)
    before, after = PARTIAL.split("*")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(
                prefix=f"{before}{target.name[:40]}.", suffix=after, dir=target.parent, ignore_cleanup_errors=True
            ) as private,
            told_if_full(Path(private)),
        ):
            yield Path(private) / target.name
    except OSError as error:
        if error.errno is not None and (error.filename is None or ".partial" in str(error.filename)):
            error.filename = str(path)
        raise


def _usual_mode(partial: Path) -> int:
    """Mode that this process gives to new files."""
    partial.touch()
    mode = stat.S_IMODE(partial.stat().st_mode)
    partial.unlink()
    return mode


def _keep_owner(partial: Path, target: Path) -> None:
    """Give a file the owner, where we may, and the mode of another."""
    there = target.stat()
    if hasattr(os, "chown") and (there.st_uid, there.st_gid) != (partial.stat().st_uid, partial.stat().st_gid):
        with suppress(PermissionError):
            os.chown(partial, there.st_uid, there.st_gid)
    partial.chmod(stat.S_IMODE(there.st_mode))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. A missing folder is made."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all. A missing folder is made."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON, whole or not at all. NaN and infinity are refused."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Readable JSON as bytes. NaN and infinity are refused."""
    return f"{json.dumps(value, indent=1, allow_nan=False)}\n".encode()
