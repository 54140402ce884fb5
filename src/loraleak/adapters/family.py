"""Which family of bases an adapter belongs to, from its modules' names and widths."""

import re
from collections.abc import Mapping
from typing import Literal

from loraleak.types import Adapter

__all__ = ["FAMILY_TITLES", "Family", "family_of", "family_of_shapes"]

Family = Literal["sd1", "sd2", "sdxl", "sd3", "flux", "pocket", ""]

FAMILY_TITLES: Mapping[Family, str] = {
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "Flux",
    "pocket": "pocket",
    "": "an unknown base",
}

_CROSS_ATTENTION: Mapping[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl", 128: "pocket"}
"""Families by the width of the prompt's states."""
_TRANSFORMER: Mapping[int, Family] = {1536: "sd3", 2432: "sd3", 3072: "flux"}
"""Families by the width of the image's tokens."""
_PROMPT = re.compile(r"unet\..*attn2[._]to_[kv]")
_ADDED = re.compile(r"transformer\.(transformer_blocks\..*\.attn\.(add_[qkv]_proj|to_add_out)|joint_blocks.*)")
_TOKENS = re.compile(r"transformer\..*(attn2?\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)|attn[._](qkv|proj))")


def family_of(adapter: Adapter) -> Family:
    """The family that the adapter fits; empty where names and widths do not tell."""
    return family_of_shapes({name: (f.up.shape[0], *f.down.shape[1:]) for name, f in adapter.factors.items()})


def family_of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Family:
    """Family from the shapes of the updates: `[d_out, d_in]`, or `[c_out, c_in, *kernel]`."""
    if any(name.startswith(("transformer.single_", "transformer.double_blocks")) for name in shapes):
        return "flux"
    widths = {shape[1] for name, shape in shapes.items() if _TOKENS.fullmatch(name)}
    found = {_TRANSFORMER[width] for width in widths if width in _TRANSFORMER}
    if len(found) == 1:
        return found.pop()
    if any(_ADDED.fullmatch(name) for name in shapes):
        return "sd3"
    if any(name.startswith(("unet.add_embedding", "unet.label_emb")) for name in shapes):
        return "sdxl"
    prompt = {shape[1] for name, shape in shapes.items() if _PROMPT.fullmatch(name)}
    found = {_CROSS_ATTENTION[width] for width in prompt if width in _CROSS_ATTENTION}
    if len(found) == 1:
        return found.pop()
    has_unet = any(name.startswith("unet.") for name in shapes)
    return "sdxl" if has_unet and any(name.startswith("text_encoder_2.") for name in shapes) else ""
