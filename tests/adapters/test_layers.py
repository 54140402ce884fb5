"""The tables of names, against the models themselves and diffusers' converters of whole checkpoints."""

from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils
from torch import Tensor

from loraleak.adapters import layers
from oracles.bases import layers_of


@pytest.mark.parametrize("base", ["sd1", "sd2", "sdxl", "sd3", "sd3.5", "flux"])
def test_every_layer_of_every_base_is_found_by_its_flattened_name(base: str) -> None:
    component = "unet" if base in ("sd1", "sd2", "sdxl") else "transformer"
    for path in layers_of(base):
        assert layers.flattened(component, path.replace(".", "_")) == f"{component}.{path}"


@pytest.mark.parametrize("encoder", ["clip_l", "clip_g", "t5"])
def test_every_layer_of_every_text_encoder_is_found_by_its_flattened_name(encoder: str) -> None:
    for path in layers_of(encoder):
        file_path = f"text_model.{path}" if path.startswith("encoder.layers.") else path
        assert layers.flattened("text_encoder_2", file_path.replace(".", "_")) == f"text_encoder_2.{file_path}"


def test_a_name_that_no_model_has_is_not_guessed_at() -> None:
    assert layers.flattened("unet", "down_blocks_0_attentions_0_my_layer") is None
    assert layers.flattened("text_encoder", "text_model_encoder_layers_99_mlp_fc1") is None
    assert layers.dotted("blocks.0.self_attn.q") is None


def test_no_two_layers_share_a_flattened_name() -> None:
    originals = layers._originals()
    assert len({path.replace(".", "_") for path in originals}) == len(originals)


@pytest.mark.parametrize("base", ["sd1", "sdxl"])
def test_original_names_of_unets_agree_with_diffusers(base: str) -> None:
    """diffusers converts a whole checkpoint; each weight carries a number that tells where it came from."""
    config: dict[str, Any] = {
        "layers_per_block": 2,
        "addition_embed_type": "text_time" if base == "sdxl" else None,
        "down_block_types": [0] * (3 if base == "sdxl" else 4),
        "class_embed_type": None,
    }
    names = layers.original_names(base)
    known = {names[layers.Layer((f"unet.{path}",))]: path for path in layers_of(base)}
    assert len(known) == len(layers_of(base))
    numbers = {old: torch.tensor(i) for i, old in enumerate(known)}
    checkpoint = {f"model.diffusion_model.{old}.weight": number for old, number in numbers.items()}
    checkpoint |= {f"model.diffusion_model.{old}.bias": torch.tensor(-1) for old in (*known, "out.0")}
    checkpoint["model.diffusion_model.out.0.weight"] = torch.tensor(-1)
    converted = single_file_utils.convert_ldm_unet_checkpoint(checkpoint, config)
    for old, path in known.items():
        assert converted[f"{path}.weight"] == numbers[old], path


class _Checkpoint(dict[str, Tensor]):
    """What the converter of a whole model wants besides is filled in."""

    width = 3072

    def pop(self, key: str, *default: Any) -> Any:
        size = 7 if "linear1" in key else 6
        return super().pop(key, torch.zeros(size * self.width, 1))


def _targets(module: str, weight: Tensor) -> dict[str, Tensor]:
    """What our table makes of a layer's weight, by its rows."""
    layer = layers.place(module)
    if layer.swapped and weight.shape[0] == 2 * _Checkpoint.width:
        weight = weight.roll(weight.shape[0] // 2, 0)
    unit = weight.shape[0] // sum(layer.shares)
    return dict(zip(layer.targets, weight.split([unit * share for share in layer.shares]), strict=True))


def test_layers_of_flux_are_cut_as_diffusers_cuts_them() -> None:
    d = _Checkpoint.width
    rows = {"qkv": 3, "proj": 1, "0": 4, "2": 1, "lin": 6, "linear1": 7, "linear2": 1, "in_layer": 1, "out_layer": 1, "1": 2}
    paths = {path for path in layers.original_names("flux").values() if path.partition(".")[0] in _FLUX_ROOTS}
    paths = {p for p in paths if not any(f"blocks.{i}." in p for i in range(2, 40))}
    weights = {p: torch.rand(d * (3 if "modulation.lin" in p else rows.get(p.rpartition(".")[2], 1)), 1) for p in paths}
    given = _Checkpoint({f"{p}.weight": w for p, w in weights.items()} | {"guidance_in.x": torch.zeros(1)})
    for p, block in (("double_blocks", 1), ("single_blocks", 1)):
        given[f"{p}.{block}.marker"] = torch.zeros(1)
    converted = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(given)
    for path, weight in weights.items():
        module = layers.dotted(path)
        assert module is not None
        for target, part in _targets(module, weight).items():
            assert torch.equal(converted[f"{target.removeprefix('transformer.')}.weight"], part), target


_FLUX_ROOTS = {"double_blocks", "single_blocks", "img_in", "txt_in", "time_in", "vector_in", "guidance_in", "final_layer"}


def test_layers_of_sd3_are_cut_as_diffusers_cuts_them() -> None:
    d = _Checkpoint.width
    last = 1
    paths = {p for p in layers.original_names("sd3").values() if "x_block.attn2" not in p and layers.dotted(p)}
    paths = {p for p in paths if not any(f"blocks.{i}." in p for i in range(2, 40))}
    paths = {p for p in paths if not str(layers.dotted(p)).startswith("unet.")}
    paths -= {f"joint_blocks.{last}.context_block.{leaf}" for leaf in ("attn.proj", "mlp.fc1", "mlp.fc2")}
    rows = {"qkv": 3, "fc1": 4}
    weights = {p: torch.rand(d * rows.get(p.rpartition(".")[2], 1), 1) for p in paths if "adaLN" not in p}
    weights |= {p: torch.rand(d * (2 if f".{last}.context" in p or "final" in p else 6), 1) for p in paths if "adaLN" in p}
    given = _Checkpoint({f"{p}.weight": w for p, w in weights.items()})
    converted = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(given)
    checked = 0
    for path, weight in weights.items():
        module = layers.dotted(path)
        assert module is not None
        for target, part in _targets(module, weight).items():
            name = f"{target.removeprefix('transformer.')}.weight"
            assert torch.equal(converted[name], part), name
            checked += 1
    assert checked > 30
