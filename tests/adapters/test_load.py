"""Layouts, scales, pairs and residue, on files made here and on real ones."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from loraleak.adapters import load_adapter
from loraleak.errors import AdapterError
from loraleak.types import Adapter

_ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"


def _read(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> Adapter:
    header = {"format": "pt"} | ({"lora_adapter_metadata": json.dumps(config)} if config is not None else {})
    save_file(tensors, folder / "lora.safetensors", header)
    return load_adapter(folder / "lora.safetensors")


def _pair(down: str, up: str, rank: int = 2) -> dict[str, Tensor]:
    return {down: torch.ones(rank, 6), up: torch.ones(5, rank)}


@pytest.mark.parametrize(
    ("down", "up", "module", "scale"),
    [
        (
            f"unet.{_ATTENTION}.to_q.lora_A.weight",
            f"unet.{_ATTENTION}.to_q.lora_B.weight",
            f"unet.{_ATTENTION}.to_q",
            1.0,
        ),
        (f"{_ATTENTION}.to_q.lora_A.weight", f"{_ATTENTION}.to_q.lora_B.weight", f"unet.{_ATTENTION}.to_q", 1.0),
        (
            f"unet.{_ATTENTION}.to_k.lora.down.weight",
            f"unet.{_ATTENTION}.to_k.lora.up.weight",
            f"unet.{_ATTENTION}.to_k",
            1.0,
        ),
        (
            f"{_ATTENTION}.processor.to_out_lora.down.weight",
            f"{_ATTENTION}.processor.to_out_lora.up.weight",
            f"unet.{_ATTENTION}.to_out.0",
            1.0,
        ),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.q_proj.lora_linear_layer.down.weight",
            "text_encoder.text_model.encoder.layers.3.self_attn.q_proj.lora_linear_layer.up.weight",
            "text_encoder.text_model.encoder.layers.3.self_attn.q_proj",
            1.0,
        ),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.to_out_lora.down.weight",
            "text_encoder.text_model.encoder.layers.3.self_attn.to_out_lora.up.weight",
            "text_encoder.text_model.encoder.layers.3.self_attn.out_proj",
            1.0,
        ),
        (
            "text_encoder_2.encoder.layers.3.mlp.fc1.lora_A.weight",
            "text_encoder_2.encoder.layers.3.mlp.fc1.lora_B.weight",
            "text_encoder_2.text_model.encoder.layers.3.mlp.fc1",
            1.0,
        ),
        (
            "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
            "transformer.transformer_blocks.0.attn.to_q.lora_B.weight",
            "transformer.transformer_blocks.0.attn.to_q",
            1.0,
        ),
        (
            "base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_A.weight",
            "base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_B.weight",
            "text_encoder.text_model.encoder.layers.0.mlp.fc1",
            1.0,
        ),
        (
            f"base_model.model.{_ATTENTION}.to_v.lora_A.default.weight",
            f"base_model.model.{_ATTENTION}.to_v.lora_B.default.weight",
            f"unet.{_ATTENTION}.to_v",
            1.0,
        ),
    ],
)
def test_each_layout_gives_the_same_dotted_path(tmp_path: Path, down: str, up: str, module: str, scale: float | None) -> None:
    adapter = _read(tmp_path, _pair(down, up))
    assert {name: f.scale for name, f in adapter.factors.items()} == {module: scale}
    assert adapter.ranks == (2, 2)
    assert adapter.residue == ()
    assert adapter.format == ("peft" if down.startswith("base_model") else "diffusers")


def test_a_mixed_file_is_read_tensor_by_tensor_and_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    tensors = _pair("unet.a.to_q.lora_A.weight", "unet.a.to_q.lora_B.weight")
    tensors |= _pair("unet.b.to_k.lora.down.weight", "unet.b.to_k.lora.up.weight")
    tensors |= _pair("base_model.model.c.to_v.lora_A.weight", "base_model.model.c.to_v.lora_B.weight")
    strange = ["lora_unet_x.diff", "unet.conv_in.w_norm", "unet.z.alpha", "evil\x1b[2J"]
    adapter = _read(tmp_path, tensors | {name: torch.ones(1) for name in strange})
    assert list(adapter.factors) == ["unet.a.to_q", "unet.b.to_k", "unknown.c.to_v"]
    assert adapter.format == "diffusers+peft"
    assert set(adapter.residue) == {*strange[:3], r"evil\x1b[2J"}


def test_peft_extras_go_to_residue(tmp_path: Path) -> None:
    extras = [
        "base_model.model.c.to_v.base_layer.bias",
        "base_model.model.conv_in.modules_to_save.weight",
    ]
    pair = _pair("base_model.model.c.to_v.lora_A.weight", "base_model.model.c.to_v.lora_B.weight")
    assert set(_read(tmp_path, pair | {name: torch.ones(3) for name in extras}).residue) == set(extras)


@pytest.mark.parametrize("name", ["unet.a.to_q.alpha", "unet.a.to_q.lora.alpha"])
def test_alpha_tensors_tell_the_scale(tmp_path: Path, name: str) -> None:
    tensors = _pair("unet.a.to_q.lora.down.weight", "unet.a.to_q.lora.up.weight", rank=4)
    adapter = _read(tmp_path, tensors | {name: torch.tensor(2.0)})
    assert adapter.factors["unet.a.to_q"].scale == 0.5
    assert adapter.residue == ()


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 8, "r": 4}, 2.0),
        ({"lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8, "r": 4, "use_rslora": True}, 4.0),
        ({"lora_alpha": 8, "r": 16, "rank_pattern": {"a.to_q": 4}}, 2.0),
        ({"lora_alpha": 8, "r": 4, "alpha_pattern": {"to_q": 1}}, 0.25),
        ({"lora_alpha": 8, "r": 4, "alpha_pattern": {"^a\\.to_q$": 1}}, 0.25),
        ({"lora_alpha": 8, "r": 4, "alpha_pattern": {"o_q": 1, "^to_q": 2, "b.to_q": 3}}, 2.0),
        ({"r": 4}, None),
        ({"lora_alpha": 8, "r": 16}, None),
        ({"lora_alpha": "8", "r": 4}, None),
        ({"lora_alpha": True, "r": 4}, None),
        ({"lora_alpha": math.inf, "r": 4}, None),
        ({"lora_alpha": 8, "r": 4, "alpha_pattern": {"(a+)+b": 1}}, None),
        ({"lora_alpha": 8, "r": 4, "alpha_pattern": [1]}, None),
    ],
)
def test_the_configuration_tells_the_scale_or_none(tmp_path: Path, config: dict[str, Any], scale: float | None) -> None:
    tensors = _pair("unet.a.to_q.lora_A.weight", "unet.a.to_q.lora_B.weight", rank=4)
    prefixed = {f"unet.{key}": value for key, value in config.items()}
    assert _read(tmp_path, tensors, prefixed).factors["unet.a.to_q"].scale == scale
    assert _read(tmp_path, tensors, config).factors["unet.a.to_q"].scale == scale
    folder = tmp_path / "peft"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors = _pair("base_model.model.a.to_q.lora_A.weight", "base_model.model.a.to_q.lora_B.weight", rank=4)
    save_file(tensors, folder / "adapter_model.safetensors")
    assert load_adapter(folder).factors["unknown.a.to_q"].scale == scale


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "[" * 100_000])
def test_an_unreadable_header_configuration_leaves_the_scale_unknown(tmp_path: Path, text: str) -> None:
    tensors = _pair("unet.a.to_q.lora_A.weight", "unet.a.to_q.lora_B.weight")
    save_file(tensors, tmp_path / "lora.safetensors", {"lora_adapter_metadata": text})
    assert not load_adapter(tmp_path / "lora.safetensors").scale_known


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff\xfe", b" " * (2**20 + 1)])
def test_an_unreadable_adapter_config_is_refused(tmp_path: Path, text: bytes) -> None:
    tensors = _pair("base_model.model.a.to_q.lora_A.weight", "base_model.model.a.to_q.lora_B.weight")
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_bytes(text)
    with pytest.raises(AdapterError, match=r"adapter_config\.json.*export the adapter again"):
        load_adapter(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"holds no adapter_model\.safetensors"):
        load_adapter(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        ({"unet.a.lora_A.weight": torch.ones(2, 3)}, "unet.a has its down factor but not its up factor"),
        ({"unet.a.lora_B.weight": torch.ones(2, 3)}, "unet.a has its up factor but not its down factor"),
        (
            {"unet.a.lora_A.weight": torch.ones(2, 3), "unet.a.lora_B.weight": torch.ones(5, 4)},
            r"unet.a has factors of shape \[2, 3\] and \[5, 4\], of different rank",
        ),
        (
            {"unet.a.lora_A.weight": torch.ones(2, 3, 3, 3), "unet.a.lora_B.weight": torch.ones(5, 2)},
            r"\[2, 3, 3, 3\] and \[5, 2\], which make no layer",
        ),
        (
            {"unet.a.lora_A.weight": torch.ones(2, 3, 3, 3), "unet.a.lora_B.weight": torch.ones(5, 2, 3, 3)},
            "which make no layer",
        ),
        ({"unet.a.lora_A.weight": torch.ones(2), "unet.a.lora_B.weight": torch.ones(2)}, "which make no layer"),
        (_pair("unet.a.lora_A.weight", "unet.a.lora_B.weight", 1025), "unet.a has rank 1025, more than 1024"),
        (
            _pair("unet.a.lora_A.weight", "unet.a.lora_B.weight") | {"unet.a.alpha": torch.ones(2)},
            "unet.a has an alpha of 2 numbers",
        ),
        (
            _pair("unet.a.lora_A.weight", "unet.a.lora_B.weight") | _pair("unet.a.lora.down.weight", "unet.a.lora.up.weight"),
            "are the same factor",
        ),
        (
            {
                "unet.a.lora_A.weight": torch.full((1, 2), 1e300, dtype=torch.float64),
                "unet.a.lora_B.weight": torch.ones(2, 1),
            },
            "unet.a holds numbers beyond float32",
        ),
    ],
)
def test_factors_that_make_no_update_are_refused(tmp_path: Path, tensors: dict[str, Tensor], fault: str) -> None:
    with pytest.raises(AdapterError, match=fault + r".*: export the adapter again"):
        _read(tmp_path, tensors)


def test_a_model_that_is_no_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"none of its 1 tensors belongs to a LoRA that we know \(the first: conv_in"):
        _read(tmp_path, {"conv_in.weight": torch.ones(2, 2)})


@pytest.mark.parametrize(
    ("file", "layout", "modules", "scale"),
    [
        ("diffusers-attn-processor.safetensors", "diffusers", 128, 1.0),
        ("diffusers-bf16.safetensors", "diffusers", 128, 1.0),
        ("diffusers-oldest-no-prefix.safetensors", "diffusers", 128, 1.0),
        ("diffusers-new-with-header.safetensors", "diffusers", 96, 4.0),
        ("peft", "peft", 128, 4.0),
        ("peft/adapter_model.safetensors", "peft", 128, 4.0),
    ],
)
def test_real_files(loras: Path, file: str, layout: str, modules: int, scale: float) -> None:
    adapter = load_adapter(loras / file)
    assert (adapter.format, len(adapter.factors), adapter.ranks, adapter.residue) == (layout, modules, (4, 4), ())
    assert {f.scale for f in adapter.factors.values()} == {scale}
    endings = {name.split(".attn")[-1][2:] for name in adapter.factors}
    assert endings == ({"to_q", "to_k", "to_v"} | ({"to_out.0"} if modules == 128 else set()))
    assert all(name.startswith(("unet.down_blocks.", "unet.mid_block.", "unet.up_blocks.")) for name in adapter.factors)
    assert all(f.down.dtype == f.up.dtype == torch.float32 for f in adapter.factors.values())
    assert all(f.down.is_contiguous() and f.up.is_contiguous() for f in adapter.factors.values())


def test_a_real_file_keeps_its_numbers(loras: Path) -> None:
    stored = load_file(loras / "diffusers-bf16.safetensors")
    read = load_adapter(loras / "diffusers-bf16.safetensors").factors[f"unet.{_ATTENTION}.to_out.0"]
    assert torch.equal(read.down, stored[f"unet.{_ATTENTION}.to_out.0.lora.down.weight"].float())
    assert torch.equal(read.up, stored[f"unet.{_ATTENTION}.to_out.0.lora.up.weight"].float())


def test_a_peft_file_parted_from_its_configuration_has_the_scale_that_loaders_apply(loras: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes((loras / "peft" / "adapter_model.safetensors").read_bytes())
    adapter = load_adapter(tmp_path / "x.safetensors")
    assert len(adapter.factors) == 128
    assert {f.scale for f in adapter.factors.values()} == {1.0}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "malformed-kohya.safetensors",
            r"none of its 256 tensors .*lora_unet_unet_down_blocks_0.*: give a LoRA; `loraleak inspect`",
        ),
        ("refuse-me-pickle.bin", "pickle"),
    ],
)
def test_real_files_that_we_cannot_read(loras: Path, file: str, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        load_adapter(loras / file)


def test_reading_does_not_depend_on_the_order_of_tensors(tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    tensors = {f"unet.{m}.lora_{side}.weight": normal(3, 3) for m in "ab" for side in "AB"}
    first = _read(tmp_path, tensors)
    second = _read(tmp_path, dict(reversed(tensors.items())))
    assert all(torch.equal(first.factors[m].down, second.factors[m].down) for m in first.factors)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_is_read_exactly(kind: torch.dtype, tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    name = f"unet.{_ATTENTION}.to_q"
    tensors = {f"{name}.lora_A.weight": normal(2, 6).to(kind), f"{name}.lora_B.weight": normal(5, 2).to(kind)}
    factors = _read(tmp_path, tensors).factors[name]
    assert torch.equal(factors.down, tensors[f"{name}.lora_A.weight"].float())
    assert torch.equal(factors.up, tensors[f"{name}.lora_B.weight"].float())


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.float8_e4m3fn, torch.bfloat16])
def test_alpha_may_be_of_any_type(kind: torch.dtype, tmp_path: Path) -> None:
    stem = f"lora_unet_{_ATTENTION.replace('.', '_')}_to_q"
    tensors = _pair(f"{stem}.lora_down.weight", f"{stem}.lora_up.weight")
    positions = {"lora_te_text_model_embeddings_position_ids": torch.arange(77)[None]}
    adapter = _read(tmp_path, {**tensors, f"{stem}.alpha": torch.tensor(8).to(kind), **positions})
    assert [f.scale for f in adapter.factors.values()] == [4.0]
    assert adapter.residue == tuple(positions)
