"""Files for these tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def loras() -> Path:
    """The shared real LoRA files."""
    root = Path(os.environ.get("LORALEAK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "loras").is_dir():
        pytest.skip("no real LoRA files: set LORALEAK_TEST_DATA to the folder that holds loras/")
    return root / "loras"
