"""The wheel: everything that runs is in it, and the files beside it tell the same version."""

import subprocess
import sys
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import yaml

_ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_package_and_its_facts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        facts = Parser().parsestr(archive.read(metadata).decode())
    source = _ROOT / "src"
    wanted = {f.relative_to(source).as_posix() for f in source.rglob("*") if f.is_file() and "__pycache__" not in f.parts}
    assert wanted <= names
    assert {"loraleak/py.typed", "loraleak/reporting/templates/report.css"} <= names
    assert "Typing :: Typed" in facts.get_all("Classifier", []) and facts.get_all("Project-URL")


def test_the_files_beside_the_package_know_its_version() -> None:
    assert yaml.safe_load((_ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version("loraleak")
    assert f"## {version('loraleak')}" in (_ROOT / "CHANGELOG.md").read_text("utf-8")
