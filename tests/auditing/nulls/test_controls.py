"""Controls are kept in a file, and given only to the base and embedder that they were made with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loraleak.auditing.nulls.controls import Controls, SamplingSetup, load_controls, save_controls

SAMPLING = SamplingSetup("abc", "pocket-1", "a photo of a person", 20, 2.0)


@pytest.fixture
def controls() -> Controls:
    rng = np.random.default_rng(0)

    def units(*shape: int) -> np.ndarray:
        vectors = rng.standard_normal(shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    return Controls(SAMPLING, {"lora-class": units(9, 4, 16), "lora-empty": units(9, 4, 16)}, units(20, 16), units(20, 3, 16))


def test_saved_controls_read_back_to_half_precision(tmp_path: Path, controls: Controls) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    loaded = load_controls(SAMPLING, file)
    assert loaded is not None and len(loaded) == len(controls) == 9
    assert set(loaded.arms) == set(controls.arms)
    for name, vectors in controls.arms.items():
        assert loaded.arms[name].dtype == np.float32
        assert np.abs(loaded.arms[name] - vectors).max() < 5e-4
    assert np.abs(loaded.cohort - controls.cohort).max() < 5e-4
    assert np.abs(loaded.people - controls.people).max() < 5e-4


@pytest.mark.parametrize(
    "other",
    [
        {"base_sha256": "def"},
        {"embedder": "pocket-2"},
        {"class_prompt": "a photo of a cat"},
        {"steps": 10},
        {"guidance_scale": 3.0},
    ],
    ids=str,
)
def test_controls_of_another_sampling_are_not_given(tmp_path: Path, controls: Controls, other: dict[str, Any]) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    assert load_controls(replace(SAMPLING, **other), file) is None


def test_no_file_means_no_controls(tmp_path: Path) -> None:
    assert load_controls(SAMPLING, tmp_path / "controls.npz") is None


def test_saving_again_replaces_and_leaves_nothing_beside(tmp_path: Path, controls: Controls) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    other = replace(SAMPLING, embedder="pocket-2")
    save_controls(replace(controls, sampling=other), file)
    assert load_controls(other, file) is not None
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_with_pickled_objects_is_never_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "controls.npz"
    np.savez(file, sampling=np.array(["{}"], dtype=object), cohort=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_controls(SAMPLING, file)
