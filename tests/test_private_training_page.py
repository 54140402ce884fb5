"""docs/private-training.md, taken at its word: its Python is run."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import loraleak
from loraleak.adapters import load_adapter
from loraleak.bases import DiffusersBase
from loraleak.types import Images

_PAGE = (Path(__file__).parents[1] / "docs" / "private-training.md").read_text("utf-8")


def test_the_snippet_trains_and_prints_an_epsilon(
    base: DiffusersBase,
    private_images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "my-photos").mkdir()
    for i, image in enumerate(private_images):
        Image.fromarray(np.asarray(image)).save(tmp_path / "my-photos" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loraleak, "load_base", {"pocket": base}.__getitem__, raising=False)
    (snippet,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    exec(snippet, {})
    assert re.search(r"epsilon (7\.9\d|8) for one private image", capsys.readouterr().out)
    assert load_adapter("my-lora.safetensors").ranks == (1, 1)
