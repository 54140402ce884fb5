"""Embedders by name, and what is said when there is none."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import MissingExtraError, UsageError
from loraleak.types import Sightings


class Flat:
    name = "flat"
    same_person = None

    def embed(self, images: list[np.ndarray]) -> Sightings:
        return Sightings.one_each(np.ones((len(images), 1), np.float32))


@pytest.mark.parametrize("name", ["nobody", "clip:", "pocket:x", ""])
def test_unknown_names_are_answered_with_the_known(name: str) -> None:
    with pytest.raises(UsageError, match=r"no embedder is called .*pocket, faces, general, clip:<folder or hub id>, dino:"):
        load_embedder(name)


def test_third_parties_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry(EntryPoint):
        def load(self) -> type[Flat]:
            return Flat

    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: [Entry("flat", "x:y", group)])
    embedder = load_embedder("flat")
    assert isinstance(embedder, Embedder) and embedder.name == "flat"


@pytest.mark.parametrize("extra", ["faces", "general"])
def test_a_missing_extra_names_the_command(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"loraleak.embedders.{extra}.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'loraleak\[{extra}\]'"):
        load_embedder(extra)


def test_the_room_opens_without_torch() -> None:
    code = "import sys, loraleak.embedders; print({'torch', 'cv2', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
