"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import loraleak

_ROOT = Path(loraleak.__file__).parents[1]
_MODULES = sorted(
    ".".join(file.relative_to(_ROOT).with_suffix("").parts)
    for file in (_ROOT / "loraleak").rglob("*.py")
    if ">>> " in file.read_text("utf-8")
)


@pytest.mark.parametrize("module", _MODULES)
def test_examples(module: str) -> None:
    results = doctest.testmod(import_module(module))
    assert results.attempted and not results.failed
