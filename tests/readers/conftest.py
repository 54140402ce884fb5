"""Samples to learn from."""

from pathlib import Path

import pytest

from loraleak.readers import Samples
from oracles.planted_adapters import planted_samples


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return planted_samples(tmp_path)
