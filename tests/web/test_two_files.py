"""Two LoRA files side by side."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from loraleak.adapters import scrub_header
from loraleak.assets import DEMO
from loraleak.web.two_files import side_by_side


def test_a_clean_copy_holds_the_same_tensors_and_less_in_its_header(tmp_path: Path) -> None:
    named, clean = tmp_path / "named.safetensors", tmp_path / "clean.safetensors"
    tensors = load_file(DEMO / "adapter.safetensors")
    save_file(tensors, named, {"ss_output_name": "<b>jane</b>"})
    scrub_header(named, clean)
    told = side_by_side(named, clean)
    assert f"Both files hold the same {len(tensors)} tensors, bit by bit." in told
    assert "&lt;b&gt;jane&lt;/b&gt;" in told and "<b>jane" not in told
    assert "Nothing was found" in side_by_side(clean, clean)


def test_tensors_that_differ_are_counted(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_file({"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2)}, first)
    save_file({"a": torch.zeros(2), "b": torch.ones(2)}, second)
    told = side_by_side(first, second)
    assert "1 are the same bit by bit, 1 differ, 1 only in the first and 0 only in the second" in told
