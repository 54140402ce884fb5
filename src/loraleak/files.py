"""Writers of files and folders that never leave half of one: they write to a private place nearby, then rename."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["PARTIAL", "cache_folder", "json_bytes", "replacing", "write_bytes", "write_json", "write_text"]

PARTIAL = ".*.partial"
"""Pattern of the names that a killed process leaves beside a file that it was writing."""


def cache_folder() -> Path:
    """Folder for files that can be made again: `$XDG_CACHE_HOME/loraleak`, or `~/.cache/loraleak`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loraleak"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context with a partial path to write a file or a folder to. At the end it takes the place of `path`.

    The partial path has the same name, in a folder beside `path` that only its owner may enter. A missing parent is made. If
    writing fails, the partial path is removed, and `path` stays as it was. A folder can replace an empty folder, but no other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before, after = PARTIAL.split("*")
    with TemporaryDirectory(prefix=f"{before}{path.name}.", suffix=after, dir=path.parent) as beside:
        partial = Path(beside) / path.name
        yield partial
        partial.replace(path)


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
