"""A cache makes things faster, and never makes them fail."""

from pathlib import Path

import numpy as np
import pytest

from loraleak.cache import cache_folder, cached


def test_an_array_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return np.arange(3)

    for _ in range(2):
        assert np.array_equal(cached(tmp_path / "cache" / "x.npy", make), np.arange(3))
    assert made == [1]
    (tmp_path / "cache" / "x.npy").write_bytes(b"damaged")
    assert np.array_equal(cached(tmp_path / "cache" / "x.npy", make), np.arange(3)) and made == [1, 1]
    assert np.array_equal(np.load(tmp_path / "cache" / "x.npy"), np.arange(3))


def test_a_cache_that_cannot_be_written_costs_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert np.array_equal(cached(tmp_path / "file" / "x.npy", lambda: np.arange(3)), np.arange(3))
    assert "made anew each time" in capsys.readouterr().err


def test_a_home_that_nobody_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    assert cache_folder() == tmp_path / "cache" / "loraleak"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder().name.startswith("loraleak-")
