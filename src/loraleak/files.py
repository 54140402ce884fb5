"""Writing files and folders so that nothing is ever half there: beside, where nobody else may look, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["PARTIAL", "cache_folder", "json_bytes", "replacing", "write_bytes", "write_json", "write_text"]

PARTIAL = ".*.partial"
"""Names of what a killed process leaves beside a file that it was writing."""


def cache_folder() -> Path:
    """Folder for what can be made again: `$XDG_CACHE_HOME/loraleak`, or `~/.cache/loraleak`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loraleak"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A partial path of the same name, where a file or a folder is to be written; it takes the place of `path` at the end.

    The parent is made where it is missing. The partial path is in a folder of its own beside, which only its owner may enter; when
    writing fails it is removed, and what was at `path` stays. A folder can take the place of nothing or of an empty folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before, after = PARTIAL.split("*")
    with TemporaryDirectory(prefix=f"{before}{path.name}.", suffix=after, dir=path.parent) as beside:
        partial = Path(beside) / path.name
        yield partial
        partial.replace(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, making the folder where it is missing."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, making the folder where it is missing."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON; NaN and infinity are refused."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Readable JSON; NaN and infinity are refused."""
    return f"{json.dumps(value, indent=1, allow_nan=False)}\n".encode()
