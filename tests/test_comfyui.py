"""The nodes for ComfyUI, loaded and called as ComfyUI does it, with a stand-in for its module of folders."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from loraleak.errors import AdapterError

_NODES = Path(__file__).parents[1] / "integrations" / "comfyui"
_STEM = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture
def loras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    tensors = {f"{_STEM}.lora_down.weight": torch.ones(2, 768), f"{_STEM}.lora_up.weight": torch.ones(640, 2)}
    save_file(tensors, folder / "anna.safetensors", {"ss_output_name": "anna\x1b[2J"})
    (folder / "old.pt").write_bytes(b"PK\x03\x04" + bytes(40))
    stand_in = SimpleNamespace(
        get_filename_list=lambda kind: sorted(os.listdir(tmp_path / "models" / kind)),
        get_full_path_or_raise=lambda kind, name: str(tmp_path / "models" / kind / name),
        get_output_directory=lambda: str(tmp_path / "output"),
    )
    monkeypatch.setitem(sys.modules, "folder_paths", stand_in)  # type: ignore[arg-type]
    return folder


@pytest.fixture
def nodes(loras: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("custom_nodes.loraleak", _NODES / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(nodes: ModuleType, name: str, **inputs: str) -> Any:
    kind = nodes.NODE_CLASS_MAPPINGS[name]
    (choices,) = kind.INPUT_TYPES()["required"]["lora_name"]
    assert inputs["lora_name"] in choices and kind.OUTPUT_NODE and kind.RETURN_TYPES == ("STRING",)
    assert isinstance(kind.IS_CHANGED(**inputs), float)
    return getattr(kind(), kind.FUNCTION)(**inputs)


def test_findings_are_shown_and_handed_on(nodes: ModuleType) -> None:
    made = _run(nodes, "LoraleakInspect", lora_name="anna.safetensors")
    (text,) = made["result"]
    assert made["ui"] == {"text": [text]} and set(nodes.NODE_DISPLAY_NAME_MAPPINGS) == set(nodes.NODE_CLASS_MAPPINGS)
    first, second, *_ = text.splitlines()
    assert first.startswith("kohya, sd1, 1 modules, ranks 2 to 2") and "ss_output_name" in second and "anna" in second
    assert "\x1b" not in text


def test_a_copy_goes_to_the_output_folder(nodes: ModuleType, loras: Path) -> None:
    (path,) = _run(nodes, "LoraleakScrub", lora_name="anna.safetensors")["result"]
    with safe_open(path, "pt") as copy, safe_open(loras / "anna.safetensors", "pt") as file:
        assert "ss_output_name" not in (copy.metadata() or {})
        assert all(torch.equal(copy.get_tensor(name), file.get_tensor(name)) for name in file.keys())  # noqa: SIM118


def test_a_pickle_is_refused_in_one_line(nodes: ModuleType) -> None:
    with pytest.raises(AdapterError, match="it is a pickle"):
        _run(nodes, "LoraleakInspect", lora_name="old.pt")
