"""The wheel: everything that runs is in it, and the files beside it tell the same version."""

import os
import subprocess
import sys
import sysconfig
import tarfile
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import yaml

_ROOT = Path(__file__).parents[1]
_IN_WHEEL = "import loraleak; from loraleak.assets import DEMO; print(loraleak.__file__); print(DEMO / 'adapter.safetensors')"


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


def test_the_wheel_of_the_sdist_runs_where_nothing_else_of_ours_is(tmp_path: Path) -> None:
    """What others install is the environment's; `make dist` installs that anew too."""

    def run(*command: str | Path, at: Path = tmp_path) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run([*map(str, command)], cwd=at, env=environment, check=True, capture_output=True, text=True).stdout

    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path, at=_ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = sdist.with_name(sdist.name.removesuffix(".tar.gz"))
    assert (unpacked / "mkdocs.yml").exists() and (unpacked / "docs" / "paper.parquet").exists()
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path, at=unpacked)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "clean")
    python = tmp_path / "clean" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = (tmp_path / "clean" / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    package, demo = run(python, "-c", _IN_WHEEL).splitlines()
    assert Path(package).is_relative_to(site)
    assert run(python.with_name("loraleak"), "--version").strip() == f"loraleak {version('loraleak')}"
    assert "pocket" in run(python.with_name("loraleak"), "inspect", demo)
