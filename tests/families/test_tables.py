"""The tables of names, against the models themselves and diffusers' converters of whole checkpoints."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils
from torch import Tensor

from loraleak.families import ENCODERS, FAMILIES, Family, Layer
from oracles.bases import BASES, layers_of


@pytest.mark.parametrize(("base", "family"), BASES.items())
def test_every_layer_of_every_base_is_found_by_its_names(base: str, family: str) -> None:
    for path in layers_of(base):
        for name, flat in ((path, False), (path.replace(".", "_"), True)):
            found = FAMILIES[family].find(name, flat=flat)
            assert found is not None and found.layer.targets == (path,), path
        whole = FAMILIES[family].whole(path)
        assert whole is not None and path in whole.layer.targets


@pytest.mark.parametrize("encoder", ["clip_l", "clip_g", "t5"])
def test_every_layer_of_every_text_encoder_is_found_by_its_flattened_name(encoder: str) -> None:
    for path in layers_of(encoder):
        file_path = f"text_model.{path}" if path.startswith("encoder.layers.") else path
        found = ENCODERS.find(file_path.replace(".", "_"), flat=True)
        assert found is not None and found.name == file_path


def test_a_name_that_no_model_has_is_not_guessed_at() -> None:
    assert all(family.find("down_blocks_0_attentions_0_my_layer", flat=True) is None for family in FAMILIES.values())
    assert FAMILIES["sd1"].find("input_blocks_99_1_proj_in", flat=True) is None
    assert ENCODERS.find("text_model_encoder_layers_3_mlp_fc3", flat=True) is None


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_no_two_layers_of_a_family_share_a_flattened_name(family: Family) -> None:
    by_flat: dict[str, set[tuple[str, ...]]] = {}
    for path, layer in family.layers.items():
        targets = layer.targets if isinstance(layer, Layer) else (layer,)
        by_flat.setdefault(path.replace(".", "_"), set()).add(targets)
    assert all(len(targets) == 1 for targets in by_flat.values())


@pytest.mark.parametrize("base", ["sd1", "sdxl"])
def test_original_names_of_unets_agree_with_diffusers(base: str) -> None:
    """diffusers converts a whole checkpoint; each weight carries a number that tells where it came from."""
    config: dict[str, Any] = {
        "layers_per_block": 2,
        "addition_embed_type": "text_time" if base == "sdxl" else None,
        "down_block_types": [0] * (3 if base == "sdxl" else 4),
        "class_embed_type": None,
    }
    known = {whole.original: path for path in layers_of(base) if (whole := FAMILIES[base].whole(path))}
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


def _targets(family: str, path: str, weight: Tensor) -> dict[str, Tensor]:
    """What our table makes of a layer's weight, by its rows."""
    found = FAMILIES[family].find(path, flat=False)
    assert found is not None
    layer = found.layer
    if layer.swapped and weight.shape[0] == 2 * _Checkpoint.width:
        weight = weight.roll(weight.shape[0] // 2, 0)
    unit = weight.shape[0] // sum(layer.shares)
    return dict(zip(layer.targets, weight.split([unit * share for share in layer.shares]), strict=True))


def _paths(family: str, blocks: int = 2) -> set[str]:
    """Original names of a family's layers, with the first blocks only."""
    return {path.replace("#", str(i)) for path in FAMILIES[family].layers for i in range(blocks)}


def test_layers_of_flux_are_cut_as_diffusers_cuts_them() -> None:
    d = _Checkpoint.width
    rows = {"qkv": 3, "proj": 1, "0": 4, "2": 1, "lin": 6, "linear1": 7, "linear2": 1, "in_layer": 1, "out_layer": 1, "1": 2}
    paths = {path for path in _paths("flux") if not path.startswith("single_blocks") or not path.endswith(".qkv")}
    weights = {p: torch.rand(d * (3 if "modulation.lin" in p else rows.get(p.rpartition(".")[2], 1)), 1) for p in paths}
    given = _Checkpoint({f"{p}.weight": w for p, w in weights.items()} | {"guidance_in.x": torch.zeros(1)})
    for p, block in (("double_blocks", 1), ("single_blocks", 1)):
        given[f"{p}.{block}.marker"] = torch.zeros(1)
    converted = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(given)
    for path, weight in weights.items():
        for target, part in _targets("flux", path, weight).items():
            assert torch.equal(converted[f"{target}.weight"], part), target


def test_layers_of_sd3_are_cut_as_diffusers_cuts_them() -> None:
    d = _Checkpoint.width
    last = 1
    paths = {p for p in _paths("sd3") if "x_block.attn2" not in p}
    paths -= {f"joint_blocks.{last}.context_block.{leaf}" for leaf in ("attn.proj", "mlp.fc1", "mlp.fc2")}
    rows = {"qkv": 3, "fc1": 4}
    weights = {p: torch.rand(d * rows.get(p.rpartition(".")[2], 1), 1) for p in paths if "adaLN" not in p}
    weights |= {p: torch.rand(d * (2 if f".{last}.context" in p or "final" in p else 6), 1) for p in paths if "adaLN" in p}
    given = _Checkpoint({f"{p}.weight": w for p, w in weights.items()})
    converted = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(given)
    checked = 0
    for path, weight in weights.items():
        for target, part in _targets("sd3", path, weight).items():
            assert torch.equal(converted[f"{target}.weight"], part), target
            checked += 1
    assert checked > 30


@pytest.mark.parametrize(
    ("family", "convert", "width"),
    [
        ("flux2", single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers, 3072),
        ("lumina2", single_file_utils.convert_lumina2_to_diffusers, 2304),
        ("z-image", single_file_utils.convert_z_image_transformer_checkpoint_to_diffusers, 3840),
    ],
)
def test_layers_of_newer_families_are_cut_as_diffusers_cuts_them(
    family: str, convert: Callable[[dict[str, Tensor]], dict[str, Tensor]], width: int
) -> None:
    layers = {path: layer for path, layer in FAMILIES[family].layers.items() if isinstance(layer, Layer)}
    weights = {
        path.replace("#", "0"): torch.rand(width * 2 if layer.swapped else width * sum(layer.shares) // layer.shares[0], 1)
        for path, layer in layers.items()
    }
    converted = convert({f"{path}.weight": weight for path, weight in weights.items()})
    for path, weight in weights.items():
        found = FAMILIES[family].find(path, flat=False)
        assert found is not None
        given = weight.roll(width, 0) if found.layer.swapped else weight
        unit = len(given) // sum(found.layer.shares)
        for target, part in zip(found.layer.targets, given.split([unit * s for s in found.layer.shares]), strict=True):
            assert torch.equal(converted[f"{target}.weight"], part), target
