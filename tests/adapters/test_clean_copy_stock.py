"""diffusers' and peft's own loaders make the same model of a scrubbed file as of the file that it was made from."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loraleak.adapters import load_adapter, save_adapter, scrub_header
from loraleak.types import Adapter, Factors
from oracles.stock import noise, stock_pipeline

_HOME = "/home/jane/models/sd15"
_PRIVATE = {"ss_output_name": "jane", "ss_tag_frequency": '{"10_jane": {"jane": 3}}', "modelspec.author": "jane"}


def _through_diffusers(file: Path) -> Tensor:
    pipeline = stock_pipeline()
    pipeline.load_lora_weights(str(file))
    return noise(pipeline.unet, pipeline.text_encoder)


def _bare() -> Tensor:
    pipeline = stock_pipeline()
    return noise(pipeline.unet, pipeline.text_encoder)


def _same_and_seen(before: Tensor, after: Tensor) -> None:
    assert torch.equal(before, after)
    assert (before - _bare()).abs().max() > 1e-2


@torch.no_grad()
def _trained(model: nn.Module) -> nn.Module:
    """B is no longer zero."""
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if "lora_" in name and weight.ndim > 1:
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


@pytest.mark.parametrize(
    "recipe",
    [
        {"r": 3, "lora_alpha": 7},
        {"r": 4, "lora_alpha": 6, "use_rslora": True},
        {"r": 4, "lora_alpha": 6, "rank_pattern": {"to_q": 2}, "alpha_pattern": {"to_k": 1}},
        {"r": 2, "lora_alpha": 2, "use_dora": True},
        {"r": 2, "lora_alpha": 8, "layers_to_transform": [0], "layers_pattern": "attentions"},
    ],
    ids=["plain", "rslora", "patterns", "dora", "layers"],
)
def test_peft_loads_the_scrubbed_folder(recipe: dict[str, object], tmp_path: Path) -> None:
    config = LoraConfig(target_modules=["to_q", "to_k", "proj_in"], **recipe)  # type: ignore[arg-type]
    model = _trained(get_peft_model(stock_pipeline().unet, config))
    model.peft_config["default"].base_model_name_or_path = _HOME
    model.save_pretrained(str(tmp_path / "jane"), save_embedding_layers=False)
    scrub_header(tmp_path / "jane", tmp_path / "out")
    assert _HOME in (tmp_path / "jane" / "adapter_config.json").read_text()
    assert "jane" not in (tmp_path / "out" / "adapter_config.json").read_text()
    assert PeftConfig.from_pretrained(str(tmp_path / "out")).base_model_name_or_path is None
    before, after = (PeftModel.from_pretrained(stock_pipeline().unet, str(tmp_path / name)) for name in ("jane", "out"))
    text_encoder = stock_pipeline().text_encoder
    _same_and_seen(noise(before, text_encoder), noise(after, text_encoder))


def test_diffusers_loads_the_scrubbed_file_with_its_header(tmp_path: Path) -> None:
    """Scales stand in `lora_adapter_metadata` alone, which keeps them and loses its paths."""
    pipeline = stock_pipeline()
    unet = LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "conv1"], rank_pattern={"to_q": 2})
    pipeline.unet.add_adapter(unet)
    pipeline.text_encoder.add_adapter(LoraConfig(r=9, lora_alpha=6, target_modules=["q_proj"], use_rslora=True))
    _trained(pipeline.unet)
    _trained(pipeline.text_encoder)
    layers = {
        "unet": get_peft_model_state_dict(pipeline.unet),
        "text_encoder": get_peft_model_state_dict(pipeline.text_encoder),
    }
    pipeline.unet.peft_config["default"].base_model_name_or_path = _HOME
    StableDiffusionPipeline.save_lora_weights(
        str(tmp_path),
        unet_lora_layers=layers["unet"],
        text_encoder_lora_layers=layers["text_encoder"],
        **_collate_lora_metadata({"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}),
    )
    file, out = tmp_path / "pytorch_lora_weights.safetensors", tmp_path / "out.safetensors"
    with safe_open(file, "pt") as stored:
        header = stored.metadata()
    assert _HOME in header["lora_adapter_metadata"]
    save_file(load_file(file), file, {**header, **_PRIVATE})
    scrub_header(file, out)
    assert b"jane" not in out.read_bytes()
    _same_and_seen(_through_diffusers(file), _through_diffusers(out))
    with safe_open(out, "pt") as stored:
        kept = json.loads(stored.metadata()["lora_adapter_metadata"])
    assert (kept["unet.lora_alpha"], kept["unet.rank_pattern"], kept["text_encoder.use_rslora"]) == (6, {"to_q": 2}, True)


def test_diffusers_loads_the_scrubbed_kohya_file(adapter: Adapter, normal: Callable[..., Tensor], tmp_path: Path) -> None:
    factors = {
        n: Factors(0.1 * normal(4, *f.down.shape[1:]), 0.1 * normal(f.up.shape[0], 4, *f.up.shape[2:]), 2.0)
        for n, f in adapter.factors.items()
    }
    file, out = tmp_path / "jane.safetensors", tmp_path / "out.safetensors"
    save_adapter(Adapter(factors, "memory", metadata=_PRIVATE), file, "kohya")
    scrub_header(file, out)
    assert b"jane" in file.read_bytes() and b"jane" not in out.read_bytes()
    _same_and_seen(_through_diffusers(file), _through_diffusers(out))
    assert {f.scale for f in load_adapter(out).factors.values()} == {2.0}


def test_diffusers_loads_the_scrubbed_file_of_no_scale(unet_adapter: Adapter, tmp_path: Path) -> None:
    """It applies 1 before and after: scrubbing tells no scale that the file did not."""
    factors = unet_adapter.factors.items()
    named = {f"{n}.lora_{side}.weight": 0.1 * t for n, f in factors for side, t in (("A", f.down), ("B", f.up))}
    file, out = tmp_path / "jane.safetensors", tmp_path / "out.safetensors"
    save_file(named, file, _PRIVATE)
    scrub_header(file, out)
    _same_and_seen(_through_diffusers(file), _through_diffusers(out))
    assert {f.scale for f in load_adapter(out).factors.values()} == {1.0}
