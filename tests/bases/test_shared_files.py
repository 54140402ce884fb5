"""Files as people share them, on every family: the same pictures as by diffusers' own loader, or as by merging by hand."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import load_adapter, save_adapter
from loraleak.bases import DiffusersBase, load_base
from loraleak.errors import AdapterError
from loraleak.finetuning.targets import target_modules
from loraleak.types import Adapter, Factors
from oracles.adapters import random_adapter
from oracles.pipelines import FAMILIES, RESOLUTION, tiny_pipeline

_PROMPT = "a photo of zqkv person"


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(request.param, tmp_path_factory.mktemp(request.param) / request.param)


def _load(folder: Path) -> DiffusersBase:
    return load_base(str(folder), device="cpu", resolution=RESOLUTION)


def _picture(base: DiffusersBase) -> np.ndarray:
    """By diffusers' pipeline, with the models as they are in the base, before rounding."""
    base.pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    settings: dict[str, Any] = {"height": RESOLUTION, "width": RESOLUTION, "output_type": "np", "generator": generator}
    return np.asarray(base.pipeline(_PROMPT, num_inference_steps=3, guidance_scale=2.0, **settings).images)


def _same_as_diffusers(folder: Path, file: Path) -> None:
    ours, theirs = _load(folder), _load(folder)
    theirs.pipeline.load_lora_weights(str(file))
    with ours.adapted(load_adapter(file)):
        picture = _picture(ours)
    assert np.abs(picture - _picture(theirs)).max() < 1e-4
    assert np.abs(picture - _picture(ours)).max() > 1e-3


def _updates(shapes: Mapping[str, torch.Size]) -> Adapter:
    return random_adapter(dict(shapes), 2, seed=3, scale=0.05)


def test_diffusers_layout_with_text_encoders(folder: Path, tmp_path: Path) -> None:
    shapes = target_modules(_load(folder), "all", text_encoder=True)
    save_adapter(_updates(shapes), tmp_path / "a.safetensors")
    _same_as_diffusers(folder, tmp_path / "a.safetensors")


@pytest.mark.parametrize("folder", ["sdxl"], indirect=True)
def test_kohya_files_of_sdxl_with_the_original_codes_names(folder: Path, tmp_path: Path) -> None:
    adapter = _updates(target_modules(_load(folder), "all", text_encoder=True))
    save_adapter(adapter, tmp_path / "a.safetensors", "kohya")
    assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.alpha" in _names(tmp_path / "a.safetensors")
    assert set(load_adapter(tmp_path / "a.safetensors").factors) == set(adapter.factors)
    _same_as_diffusers(folder, tmp_path / "a.safetensors")


@pytest.mark.parametrize("folder", ["sd", "sdxl"], indirect=True)
def test_kohya_files_with_diffusers_names(folder: Path, tmp_path: Path) -> None:
    adapter = _updates(target_modules(_load(folder), "all", text_encoder=True))
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
    if folder.name == "sd":
        prefixes["text_encoder"] = "lora_te"
    tensors: dict[str, Tensor] = {}
    for name, f in adapter.factors.items():
        component, _, path = name.partition(".")
        stem = f"{prefixes[component]}_{path.replace('.', '_')}"
        alpha = torch.tensor(2.0 * (f.scale or 0))
        tensors |= {f"{stem}.lora_down.weight": f.down, f"{stem}.lora_up.weight": f.up, f"{stem}.alpha": alpha}
    save_file(tensors, tmp_path / "a.safetensors")
    _same_as_diffusers(folder, tmp_path / "a.safetensors")


@pytest.mark.parametrize("folder", ["flux"], indirect=True)
def test_kohya_files_of_flux_with_fused_layers(folder: Path, tmp_path: Path) -> None:
    shapes = target_modules(_load(folder), "transformer", text_encoder=True)
    ours_alone = (
        "single_transformer_blocks.0.attn",
        "single_transformer_blocks.0.proj_mlp",
    )  # diffusers cuts it at Flux's own width
    adapter = _updates({name: shape for name, shape in shapes.items() if not any(part in name for part in ours_alone)})
    save_adapter(adapter, tmp_path / "a.safetensors", "kohya")
    assert "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight" in _names(tmp_path / "a.safetensors")
    _same_as_diffusers(folder, tmp_path / "a.safetensors")


@pytest.mark.parametrize("folder", ["sd3", "flux"], indirect=True)
def test_kohya_files_with_fused_layers_are_what_was_written(folder: Path, tmp_path: Path) -> None:
    """diffusers has no reader for those of Stable Diffusion 3."""
    base = _load(folder)
    shapes = target_modules(base, "transformer", text_encoder=False)
    if folder.name == "sd3":  # the last block's context has queries that nothing reads, which the layout cannot hold apart
        shapes = {name: shape for name, shape in shapes.items() if "transformer_blocks.1." not in name}
    adapter = replace(_updates(shapes), families=(folder.name,))  # so few layers, so narrow, fit several
    save_adapter(adapter, tmp_path / "a.safetensors", "kohya")
    with base.adapted(adapter):
        expected = _picture(base)
    with base.adapted(load_adapter(tmp_path / "a.safetensors")):
        assert np.abs(_picture(base) - expected).max() < 1e-4


_LAYERS: Mapping[str, tuple[str, str]] = {
    "sd": (
        "down_blocks_0_attentions_0_transformer_blocks_0_ff_net_2",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2",
    ),
    "sdxl": ("input_blocks_4_1_transformer_blocks_0_ff_net_2", "unet.down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2"),
    "sd3": ("joint_blocks_0_x_block_mlp_fc2", "transformer.transformer_blocks.0.ff.net.2"),
    "flux": ("double_blocks_0_img_mlp_2", "transformer.transformer_blocks.0.ff.net.2"),
}
"""One linear layer of each family, as files and as diffusers' models name it."""


@pytest.mark.parametrize("kind", ["loha", "lokr"])
def test_loha_and_lokr_are_the_update_that_they_define(folder: Path, tmp_path: Path, kind: str) -> None:
    base = _load(folder)
    stem, name = _LAYERS[folder.name]
    rows, columns = base.modules[name]
    draw = _drawing()
    if kind == "loha":
        sides = {"w1_a": (rows, 2), "w1_b": (2, columns), "w2_a": (rows, 2), "w2_b": (2, columns)}
        tensors = {f"hada_{side}": draw(*shape) for side, shape in sides.items()}
        update = 0.25 * (tensors["hada_w1_a"] @ tensors["hada_w1_b"]) * (tensors["hada_w2_a"] @ tensors["hada_w2_b"])
    else:
        tensors = {"lokr_w1": draw(2, 2), "lokr_w2_a": draw(rows // 2, 2), "lokr_w2_b": draw(2, columns // 2)}
        update = 0.25 * torch.kron(tensors["lokr_w1"], tensors["lokr_w2_a"] @ tensors["lokr_w2_b"])
    tensors["alpha"] = torch.tensor(0.5)
    save_file({f"lora_unet_{stem}.{role}": tensor for role, tensor in tensors.items()}, tmp_path / "a.safetensors")
    _same_as_merged(base, load_adapter(tmp_path / "a.safetensors"), {name: base.weight(name) + update})


@pytest.mark.parametrize("folder", ["sd", "sdxl"], indirect=True)
def test_a_tucker_convolution_is_the_update_that_it_defines(folder: Path, tmp_path: Path) -> None:
    base = _load(folder)
    name, draw = "unet.down_blocks.0.resnets.0.conv1", _drawing()
    stem = {"sd": "down_blocks_0_resnets_0_conv1", "sdxl": "input_blocks_1_0_in_layers_2"}[folder.name]
    rows, columns = base.modules[name][:2]
    down, mid, up = draw(2, columns, 1, 1), draw(2, 2, 3, 3), draw(rows, 2, 1, 1)
    update = 0.5 * torch.einsum("om,mnhw,ni->oihw", up[..., 0, 0], mid, down[..., 0, 0])
    tensors = {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up, "alpha": torch.tensor(1.0)}
    save_file({f"lora_unet_{stem}.{role}": tensor for role, tensor in tensors.items()}, tmp_path / "a.safetensors")
    _same_as_merged(base, load_adapter(tmp_path / "a.safetensors"), {name: base.weight(name) + update})


def test_dora_is_the_merged_weight_of_its_definition(folder: Path) -> None:
    """Layers without a magnitude, beside those that have one, are plain LoRA."""
    base, draw = _load(folder), _drawing()
    shapes = {n: s for n, s in target_modules(base, "all", text_encoder=True).items() if "text_encoder_2" not in n}
    chosen = dict(list(shapes.items())[::5])
    adapter = _updates(chosen)
    magnitudes = {
        name: 0.3 + draw(shape[0], 1, *[1] * (len(shape) - 2)).abs() for i, (name, shape) in enumerate(chosen.items()) if i % 4
    }
    adapter = Adapter(factors=adapter.factors, format="memory", magnitudes=magnitudes)
    merged = {}
    for name, f in adapter.factors.items():
        weight = base.weight(name)
        whole = weight.flatten(1) + (f.scale or 0) * f.up.flatten(1) @ f.down.flatten(1)
        if name in magnitudes:
            whole = magnitudes[name].flatten(1) * whole / whole.norm(dim=1, keepdim=True)
        merged[name] = whole.view_as(weight)
    _same_as_merged(base, adapter, merged)


@pytest.mark.parametrize("folder", ["sd"], indirect=True)
def test_dora_over_columns_is_refused_by_name(folder: Path) -> None:
    base = _load(folder)
    name = _LAYERS["sd"][1]
    rows, columns = base.modules[name]
    factors = {name: Factors(torch.ones(1, columns), torch.ones(rows, 1), 1.0)}
    with (
        pytest.raises(AdapterError, match=r"ff\.net\.2 and 0 others have DoRA magnitudes over their columns"),
        base.adapted(Adapter(factors=factors, format="memory", magnitudes={name: torch.ones(1, columns)})),
    ):
        pass


def _same_as_merged(base: DiffusersBase, adapter: Adapter, weights: Mapping[str, Tensor]) -> None:
    other = deepcopy(base)
    with torch.no_grad():
        for name, weight in weights.items():
            other.weight(name).copy_(weight)
    with base.adapted(adapter):
        picture = _picture(base)
        with base.bare():
            bare = _picture(base)
    assert np.abs(picture - _picture(other)).max() < 1e-4
    assert np.abs(picture - bare).max() > 1e-3
    assert np.array_equal(_picture(base), bare)


def _drawing() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(4)
    return lambda *shape: torch.randn(*shape, generator=generator)


def _names(file: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return set(opened.keys())
