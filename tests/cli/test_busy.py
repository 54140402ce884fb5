"""Threads sleep while they wait only where other processes use the cores."""

from importlib import import_module
from pathlib import Path

import pytest

entry = import_module("loraleak.cli.main")


@pytest.mark.parametrize(
    ("counted", "busy"), [("0.10 0.20 0.30 1/90 77\n", False), ("0.10 0.20 0.30 3/90 77\n", True), ("?", False)]
)
def test_others_are_counted_where_the_system_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: str, busy: bool
) -> None:
    (tmp_path / "loadavg").write_text(counted)
    monkeypatch.setattr(entry, "_RUNNING", tmp_path / "loadavg")
    assert entry._others_run() is busy
    monkeypatch.setattr(entry, "_RUNNING", tmp_path / "none")
    assert entry._others_run() is False
