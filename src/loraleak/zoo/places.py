"""Places of zoos: local folders, or URLs of any storage that fsspec reaches. All zoo files are read and written here."""

import shutil
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from upath import UPath

from loraleak.errors import UsageError
from loraleak.files import PARTIAL, write_bytes

__all__ = ["Place", "forget_partials", "open_place", "put", "read_range"]

Place = Path | UPath
"""Place of a file or folder. Local files are written nearby and renamed; object stores show a file once it is whole."""


def open_place(name: str | Place) -> Place:
    """A local folder, or the place of a URL such as `s3://bucket/zoo`.

    Raises: UsageError, if the storage's own package is not installed.
    """
    if isinstance(name, Path) or (isinstance(name, str) and "://" not in name):
        return Path(name)
    try:
        return UPath(name)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{name} cannot be reached ({error}): install what fsspec needs for it, or give a folder") from error


def put(file: Place, data: bytes) -> None:
    """Write a file, whole or not at all."""
    if isinstance(file, Path):
        write_bytes(file, data)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def read_range(file: Place, offset: int, count: int) -> UInt8[np.ndarray, " count"]:
    """Read `count` bytes from `offset` without the rest. A local file is mapped."""
    if isinstance(file, Path):
        return np.array(np.memmap(file, dtype=np.uint8, mode="r", offset=offset, shape=(count,)))
    return np.frombuffer(file.fs.cat_file(file.path, start=offset, end=offset + count), dtype=np.uint8)


def forget_partials(folder: Place) -> None:
    """Delete the files that a killed build was writing when it died."""
    if isinstance(folder, Path) and folder.exists():
        for partial in list(folder.rglob(PARTIAL)):
            shutil.rmtree(partial, ignore_errors=True)
