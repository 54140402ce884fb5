import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import loraleak
from loraleak.adapters import load_adapter, save_adapter
from loraleak.bases import DiffusersBase
from loraleak.defences.defended_copy import scrub
from loraleak.defences.finished.scaling import Scaling
from loraleak.defences.finished.truncation import RankTruncation
from loraleak.types import Adapter


@pytest.fixture
def folder(adapter: Adapter, tmp_path: Path) -> Path:
    """In PEFT layout, with a path in its configuration."""
    unet = {n: replace(f, scale=f.scale or 1.0) for n, f in adapter.factors.items() if n.startswith("unet.")}
    save_adapter(replace(adapter, factors=unet), tmp_path / "jane", "peft")
    config = tmp_path / "jane" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": "/home/jane"}))
    return tmp_path / "jane"


def test_it_is_a_public_name() -> None:
    assert loraleak.scrub is scrub


@pytest.mark.parametrize(("name", "layout"), [("out.safetensors", "diffusers"), ("out", "peft")])
def test_a_defence_in_either_layout(folder: Path, tmp_path: Path, name: str, layout: str) -> None:
    done = scrub(folder, tmp_path / name, defence=RankTruncation(1))
    written, expected = load_adapter(tmp_path / name), RankTruncation(1).apply(load_adapter(folder), None)
    assert written.format == layout and written.ranks == (1, 1) and written.sha256 == done.sha256_after
    for module, pair in expected.factors.items():
        assert torch.equal(written.factors[module].down, pair.down) and torch.equal(written.factors[module].up, pair.up)
    assert "jane" not in json.dumps(dict(written.metadata))
    assert [removed.field for removed in done.removed] == ["adapter_config.json: base_model_name_or_path"]


def test_a_field_that_is_kept_is_kept_with_a_defence_too(adapter: Adapter, tmp_path: Path, base: DiffusersBase) -> None:
    known = replace(adapter, factors={n: replace(f, scale=f.scale or 1.0) for n, f in adapter.factors.items()})
    save_adapter(known, tmp_path / "in.safetensors")
    done = scrub(
        tmp_path / "in.safetensors", tmp_path / "out.safetensors", defence=Scaling(), base=base, keep=("ss_output_name",)
    )
    assert load_adapter(tmp_path / "out.safetensors").metadata["ss_output_name"] == "Jane"
    assert set(done.kept) == {"format", "lora_adapter_metadata", "ss_output_name"} and done.removed == ()
