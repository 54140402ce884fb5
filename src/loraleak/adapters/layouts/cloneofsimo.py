"""The layout of cloneofsimo's `lora`: `unet:12:up`, a position instead of a name; the header tells the classes that were walked."""

import json
import re
from collections.abc import Collection, Mapping

from loraleak.adapters.detect import Dialect, Part
from loraleak.adapters.layouts.kohya import full_strength

__all__ = ["CLONEOFSIMO"]

_NAME = re.compile(r"(unet|text_encoder):(\d{1,6}):(up|down)")

_CLIP = ("k_proj", "v_proj", "q_proj", "out_proj")
"""Layers in the order of transformers' CLIPAttention."""
_ATTENTION = tuple(f"attn1.{side}" for side in ("to_q", "to_k", "to_v", "to_out.0"))
_CROSS = tuple(f"attn2.{side}" for side in ("to_q", "to_k", "to_v", "to_out.0"))
_BLOCKS = (
    *(f"down_blocks.{block}.attentions.{i}" for block in (0, 1, 2) for i in (0, 1)),
    *(f"up_blocks.{block}.attentions.{i}" for block in (1, 2, 3) for i in (0, 1, 2)),
    "mid_block.attentions.0",
)
"""Blocks in the order of the U-Net's `modules()`, which has its middle last."""


def _part(name: str) -> Part | None:
    if match := _NAME.fullmatch(name):
        return Part(match[1], str(int(match[2])), "down" if match[3] == "down" else "up")
    return None


def _renames(fields: Mapping[str, str], modules: Collection[str]) -> Mapping[str, str]:
    """Paths by position, where the file has as many positions as a walk over these classes gives; else the positions stay."""
    found: dict[str, str] = {}
    for component in ("unet", "text_encoder"):
        mine = [module for module in modules if re.fullmatch(rf"{component}\.\d{{1,6}}", module)]
        paths = _walk(component, _classes(fields.get(component, "")), len(mine))
        names = {f"{component}.{i}": f"{component}.{path}" for i, path in enumerate(paths)}
        if names.keys() == set(mine):
            found |= names
    return found


def _walk(component: str, classes: frozenset[str], count: int) -> list[str]:
    if component == "text_encoder" and classes == {"CLIPAttention"}:
        return [f"text_model.encoder.layers.{i}.self_attn.{side}" for i in range(count // 4) for side in _CLIP]
    if (
        component == "unet"
        and classes & {"CrossAttention", "Attention"}
        and classes <= {"CrossAttention", "Attention", "GEGLU"}
    ):
        middle = ("ff.net.0.proj",) if "GEGLU" in classes else ()
        return [f"{block}.transformer_blocks.0.{leaf}" for block in _BLOCKS for leaf in (*_ATTENTION, *middle, *_CROSS)]
    return []


def _classes(text: str) -> frozenset[str]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


CLONEOFSIMO = Dialect(name="cloneofsimo", part=_part, scales=full_strength, renames=_renames)
