import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def photos_of() -> Callable[[str], list[Path]]:
    """The identity folders of a set of real photos, which are never copied into the project."""
    root = Path(os.environ.get("LORALEAK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")

    def folders(name: str) -> list[Path]:
        if not (root / name).is_dir():
            pytest.skip(f"no real photos: set LORALEAK_TEST_DATA to the folder that holds {name}/")
        return sorted(folder for folder in (root / name).iterdir() if folder.is_dir())

    return folders
