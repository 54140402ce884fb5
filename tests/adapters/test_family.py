"""Families by names and widths, on the layers of the real bases, and of pocket."""

import pytest
import torch

from loraleak import load_base
from loraleak.adapters.family import family_of, family_of_shapes
from loraleak.types import Adapter, Factors
from oracles.bases import layers_of


@pytest.mark.parametrize(
    ("base", "family"), [("sd1", "sd1"), ("sd2", "sd2"), ("sdxl", "sdxl"), ("sd3", "sd3"), ("sd3.5", "sd3"), ("flux", "flux")]
)
@pytest.mark.parametrize("only", ["", "attn2.to_", "attn.to_", "attn.add_", "to_k"])
def test_the_layers_of_each_base_tell_its_family(base: str, family: str, only: str) -> None:
    component = "unet" if family in ("sd1", "sd2", "sdxl") else "transformer"
    shapes = {f"{component}.{name}": shape for name, shape in layers_of(base).items() if only in name}
    if shapes:
        assert family_of_shapes(shapes) == family


def test_pocket_is_known() -> None:
    shapes = {name: tuple(shape) for name, shape in load_base("pocket").modules.items()}
    assert family_of_shapes(shapes) == "pocket"


def test_flattened_names_tell_the_family_too_and_self_attention_alone_does_not() -> None:
    assert family_of_shapes({"unet.input_blocks_4_1_odd_attn2_to_k": (640, 2048)}) == "sdxl"
    factors = Factors(torch.ones(1, 320), torch.ones(320, 1), 1.0)
    assert family_of(Adapter({"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": factors}, "memory")) == ""
    assert family_of_shapes({"text_encoder.text_model.encoder.layers.0.mlp.fc1": (3072, 768)}) == ""
