"""Writing files so that nothing is ever half there: beside, then rename."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["json_bytes", "write_bytes", "write_json", "write_text"]


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, making the folder where it is missing; nothing is left behind where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, making the folder where it is missing."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON; NaN and infinity are refused."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Readable JSON; NaN and infinity are refused."""
    return f"{json.dumps(value, indent=1, allow_nan=False)}\n".encode()
