"""What is shipped tells nothing about the machine that made it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import loraleak

ASSETS = Path(loraleak.__file__).parent / "assets"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("file", sorted(ASSETS.rglob("*config.json")), ids=lambda file: str(file.relative_to(ASSETS)))
def test_configs_hold_no_path(file: Path) -> None:
    texts = list(_texts(json.loads(file.read_text("utf-8"))))
    assert "_name_or_path" not in texts
    assert not any(text.startswith(("/", "~", "\\")) for text in texts)


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file()) < 30e6
