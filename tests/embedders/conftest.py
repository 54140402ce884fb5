import os
from pathlib import Path

import pytest


@pytest.fixture
def photos_of() -> "PhotosOf":
    """Real photos, never copied into the project."""
    return PhotosOf(Path(os.environ.get("LORALEAK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data"))


class PhotosOf:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: str) -> list[Path]:
        if not (self.root / name).is_dir():
            pytest.skip(f"no real photos: set LORALEAK_TEST_DATA to the folder that holds {name}/")
        return sorted(folder for folder in (self.root / name).iterdir() if folder.is_dir())
