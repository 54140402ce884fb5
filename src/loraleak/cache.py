"""Arrays that can be made again, kept between runs. A cache that cannot be read or written costs time and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from loraleak.errors import of_system
from loraleak.files import replacing
from loraleak.progress import announce

__all__ = ["cache_folder", "cached"]


def cache_folder() -> Path:
    """Folder for files that can be made again: `$XDG_CACHE_HOME/loraleak`, or `~/.cache/loraleak`.

    Where nobody knows the home folder, it is one of this user's in the system's temporary folder.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loraleak"
    except RuntimeError:
        return Path(gettempdir()) / f"loraleak-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


def cached(file: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in a file of the cache, which is made where the file is missing or damaged.

    If it cannot be kept, a line on stderr says so, and the array is made anew the next time.
    """
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        array = make()
    try:
        with replacing(file) as partial:
            np.save(partial, array)
    except OSError as error:
        announce(f"{of_system(error)}; what should be kept there is made anew each time (XDG_CACHE_HOME names another place)")
    return array
