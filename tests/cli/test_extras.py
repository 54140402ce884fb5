"""A missing extra is named with the command that installs it; other missing modules are faults of ours."""

from importlib import import_module

import pytest

from loraleak.cli.extras import needs_extra
from loraleak.errors import MissingExtraError


def test_what_is_missing_is_said_with_its_remedy() -> None:
    fault = r"^the zoo is not installed: run pip install 'loraleak\[zoo\]'$"
    with pytest.raises(MissingExtraError, match=fault), needs_extra("zoo", "no_such_package", why="the zoo is not installed"):
        import_module("no_such_package")


def test_other_faults_pass() -> None:
    with pytest.raises(ModuleNotFoundError, match="another_one"), needs_extra("zoo", "no_such_package", why="it is not there"):
        import_module("another_one")
