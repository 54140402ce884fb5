"""The site is built as `make site` does it: notebooks run, and a warning or a dead link is an error."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

import numpy as np
import pytest
from PIL import Image

import loraleak
from loraleak.assets import DEMO

_ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    copytree(_ROOT / "docs", place / "docs", ignore=ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        copyfile(_ROOT / name, place / name)
    (place / "src").symlink_to(_ROOT / "src")
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"}
    for command in (["docs/generate.py"], ["-m", "mkdocs", "build", "--strict"]):
        run = subprocess.run(
            [sys.executable, *command], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    return place / "site"


def _read(site: Path, page: str) -> str:
    return (site / page / "index.html").read_text("utf-8")


def test_pages_are_built_from_parser_docstrings_and_notebooks(site: Path) -> None:
    assert "Example: loraleak audit" in _read(site, "commands")
    assert all(f"loraleak {words} [-h]" in _read(site, "commands") for words in ("zoo build", "bench paper", "kit install"))
    assert all(f">{name}<" in _read(site, "api") for name in set(loraleak.__all__) - {"__version__"})
    tour = _read(site, "notebooks/first-audit")
    assert "high 0.005" in tour and ".png" in tour and str(Path.home()) not in tour
    assert "drop-modules: -" in _read(site, "notebooks/own-defence")


def test_no_page_fetches_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//[^"]*', page.read_text("utf-8")), (
            page
        )


def test_the_examples_of_the_page_on_extensions_work() -> None:
    arm, defence, embedder = re.findall(r"```python\n(.*?)```", (_ROOT / "docs" / "extend.md").read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for code in (arm, defence, embedder):
        exec(code, names)
    base, adapter = loraleak.load_base("pocket", device="cpu"), loraleak.load_adapter(DEMO / "adapter.safetensors")
    dropped = names["DropModules"](share=0.25).apply(adapter, None)  # type: ignore[operator]
    assert len(dropped.factors) == round(0.75 * len(adapter.factors))
    made = loraleak.reconstruct(loraleak.Scene(base, dropped), [names["LoraRare"]()], images=2, seed=0, steps=2)  # type: ignore[operator]
    shown = names["MeanColour"]().embed(list(made["lora-rare"]))  # type: ignore[operator]
    assert isinstance(names["MeanColour"](), loraleak.Embedder)  # type: ignore[operator]
    assert np.allclose(np.linalg.norm(shown.vectors, axis=1), 1) and Image.fromarray(np.asarray(made["lora-rare"][0]))
