"""Controls are kept in a file, and given only to the base and embedder that they were made with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loraleak.auditing.controls import Controls, load_controls, save_controls


@pytest.fixture
def controls() -> Controls:
    rng = np.random.default_rng(0)

    def units(*shape: int) -> np.ndarray:
        vectors = rng.standard_normal(shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    return Controls("abc", "pocket-1", {"lora-class": units(9, 4, 16), "lora-empty": units(9, 4, 16)}, units(20, 16))


def test_saved_controls_read_back_to_half_precision(tmp_path: Path, controls: Controls) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    loaded = load_controls("abc", "pocket-1", file)
    assert loaded is not None and len(loaded) == len(controls) == 9
    assert set(loaded.arms) == set(controls.arms)
    for name, vectors in controls.arms.items():
        assert loaded.arms[name].dtype == np.float32
        assert np.abs(loaded.arms[name] - vectors).max() < 5e-4
    assert np.abs(loaded.cohort - controls.cohort).max() < 5e-4


@pytest.mark.parametrize(("base", "embedder"), [("other", "pocket-1"), ("abc", "pocket-2"), ("", "")])
def test_others_controls_are_not_given(tmp_path: Path, controls: Controls, base: str, embedder: str) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    assert load_controls(base, embedder, file) is None


def test_no_file_means_no_controls(tmp_path: Path) -> None:
    assert load_controls("abc", "pocket-1", tmp_path / "controls.npz") is None


def test_saving_again_replaces_and_leaves_nothing_beside(tmp_path: Path, controls: Controls) -> None:
    file = tmp_path / "controls.npz"
    save_controls(controls, file)
    save_controls(replace(controls, embedder="pocket-2"), file)
    assert load_controls("abc", "pocket-2", file) is not None
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_with_pickled_objects_is_never_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "controls.npz"
    np.savez(file, base_sha256=np.array(["abc"], dtype=object), embedder="pocket-1", cohort=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_controls("abc", "pocket-1", file)
