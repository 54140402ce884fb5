"""Which files a command is for: the ones that are named, and all in the folders that are named."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from loraleak.adapters.opening import is_one_adapter

__all__ = ["adapter_paths"]


def adapter_paths(paths: Iterable[Path]) -> Iterator[Path]:
    """Adapters among files and folders: a file or a PEFT or diffusers folder is one; of any other folder all .safetensors files are.

    Folders are searched through and through, in the order of names. Hidden files and folders are passed over, and links to folders.
    """
    for path in paths:
        if is_one_adapter(path):
            yield path
        else:
            yield from _within(path)


def _within(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".safetensors") and not name.startswith("."))
