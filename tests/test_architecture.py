"""The dependency rule, and a light start."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


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


def test_public_names_are_what_they_say() -> None:
    code = "import loraleak; print(all(hasattr(loraleak, name) for name in loraleak.__all__), loraleak.audit.__name__)"
    assert _python(code).split() == ["True", "audit"]
