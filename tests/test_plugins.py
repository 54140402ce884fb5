"""What third parties add is found by name, never hides ours, and fails in one line."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionPipeline
from torch import Size

from loraleak.arms import Arm, select_arms
from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.families.stable_diffusion import StableDiffusion
from loraleak.errors import UsageError
from loraleak.inversion.weight_autoencoder import ENCODERS, Encoder, new_encoder
from loraleak.plugins import third_party


class Third(Arm):
    """Stands for a third party's arm."""

    name, role, says, control = "third", "attack", "Nobody.", None


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    added = [EntryPoint(name, f"{__name__}:Third", "loraleak.arms") for name in ("third", "lora-class", "matching-updates")]
    monkeypatch.setattr(EntryPoint, "load", lambda self: Third)
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: added if group == "loraleak.arms" else [])


def test_a_third_partys_is_found_and_does_not_hide_ours(registered: None) -> None:
    assert third_party("loraleak.arms", ("lora-class", "matching-updates")) == {"third": Third}
    assert third_party("loraleak.embedders") == {}
    (third,) = select_arms(("third",))
    assert isinstance(third, Third) and third.needs == frozenset()
    assert not any(isinstance(arm, Third) for arm in select_arms(("lora-class", "matching-updates")))


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("mine", "no_such_package:Mine", "loraleak.arms")
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: [broken])
    with pytest.raises(
        UsageError, match=r"mine of the group loraleak.arms cannot be loaded from no_such_package:Mine .*uninstall"
    ):
        third_party("loraleak.arms")


def test_a_third_partys_family_and_encoder_are_used(pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = {"loraleak.encoders": "own-encoder", "loraleak.families": "OwnPipeline"}
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: [EntryPoint(added[group], "x:y", group)])
    monkeypatch.setattr(EntryPoint, "load", lambda self: _own_encoder if self.name == "own-encoder" else StableDiffusion)
    monkeypatch.setattr("diffusers.OwnPipeline", type("OwnPipeline", (StableDiffusionPipeline,), {}), raising=False)
    index = pipeline_folder / "model_index.json"
    was = index.read_text("utf-8")
    try:
        index.write_text(was.replace('"StableDiffusionPipeline"', '"OwnPipeline"'), "utf-8")
        base = load_base(str(pipeline_folder), device="cpu")
    finally:
        index.write_text(was, "utf-8")
    assert type(base.pipeline).__name__ == "OwnPipeline"
    shapes = dict(list(base.modules.items())[:1])
    assert new_encoder("own-encoder", shapes, base, steps=False).shapes == shapes
    with pytest.raises(UsageError, match=r"no encoder is called 'theirs': choose from invariant, own-encoder, published"):
        new_encoder("theirs", shapes, base, steps=False)


def _own_encoder(
    shapes: Mapping[str, Size], condition: tuple[int, int], base: DiffusersBase, *, steps: bool, sizes: Any, rank: int | None
) -> Encoder:
    return ENCODERS["invariant"](shapes, condition, base, steps=steps, sizes=sizes, rank=rank)
