"""The dependency rule, and a light start."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules

import pytest

import loraleak
from loraleak.cli import main

_ROOT = Path(__file__).parents[1]
_ROOMS = sorted((_ROOT / "src" / "loraleak").glob("*/__init__.py"))


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True).stdout


def test_rooms_depend_downwards_only() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, loraleak.cli; print({'torch', 'diffusers', 'numpy'} & set(sys.modules))"
    assert _python(code).strip() == "set()"


@pytest.mark.parametrize("package", ["loraleak", *(f"loraleak.{room.parent.name}" for room in _ROOMS)])
def test_public_names_are_there_and_are_not_hidden_by_modules(package: str) -> None:
    surface = import_module(package)
    names, modules = set(surface.__all__), {module.name for module in iter_modules(surface.__path__)}
    assert names <= set(dir(surface)) and all(hasattr(surface, name) for name in names)
    assert "lazy" not in vars(surface) or not names & modules
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = surface.nothing


def test_rooms_say_in_types_what_they_export() -> None:
    """A lazy name stands twice in a package: for type checkers, and in the table that is read when it is used."""
    for file in (_ROOT / "src" / "loraleak" / "__init__.py", *_ROOMS):
        tree = ast.parse(file.read_text("utf-8"))
        typed = {name.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
        package = ".".join(file.relative_to(_ROOT / "src").parent.parts)
        if "lazy" in vars(import_module(package)):
            assert typed - {None} == set(import_module(package).__all__), file


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"loraleak {version('loraleak')}\n" == f"loraleak {loraleak.__version__}\n"
