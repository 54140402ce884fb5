"""What goes into the page without a server, and where it comes from."""

import subprocess
import sys
from pathlib import Path

import pytest

from loraleak.errors import UsageError
from loraleak.web.offline import fetch_pyodide, write_page


def test_another_package_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "pyodide.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"it is not Pyodide .*npm pack"):
        write_page(tmp_path / "index.html", package)
    assert list(tmp_path.iterdir()) == [package]


def test_without_npm_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="--pyodide"):
        fetch_pyodide(tmp_path)


def test_what_runs_in_the_browser_needs_no_numpy_and_no_safetensors() -> None:
    """Pyodide's package at npm has neither."""
    code = "import sys; sys.modules |= dict.fromkeys(('numpy', 'safetensors', 'torch', 'gradio')); "
    subprocess.run([sys.executable, "-c", f"{code}import loraleak.web.offline.in_browser"], check=True)
