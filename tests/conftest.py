"""A tiny pipeline, made by the tests themselves: Stable Diffusion's shape, random weights, 16 x 16 pixels."""

import os
from pathlib import Path

import numpy as np
import pytest

from loraleak.bases import DiffusersBase, load_base
from loraleak.types import Images
from oracles.pipelines import tiny_pipeline

pytest_plugins = ["oracles.browser", "oracles.disks", "oracles.reports"]


@pytest.fixture(scope="session")
def loras() -> Path:
    """The shared real LoRA files."""
    root = Path(os.environ.get("LORALEAK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / "loras").is_dir():
        pytest.skip("no real LoRA files: set LORALEAK_TEST_DATA to the folder that holds loras/")
    return root / "loras"


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline("sd", tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="session")
def v_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Stable Diffusion 2.x at 768: v-prediction."""
    return tiny_pipeline("sd", tmp_path_factory.mktemp("v-pipeline"), prediction_type="v_prediction")


@pytest.fixture
def base(pipeline_folder: Path) -> DiffusersBase:
    return load_base(str(pipeline_folder), device="cpu")


@pytest.fixture
def private_images() -> Images:
    return np.random.default_rng(3).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
