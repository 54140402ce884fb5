"""The layouts of diffusers, from attention processors (old) over `.lora.down` (middle) to PEFT names under a component (new)."""

import re
from collections.abc import Mapping
from dataclasses import replace

from loraleak.adapters.detect import COMPONENTS, Dialect, Part, ScaleFrom, Scales, dotted_part, split_name
from loraleak.adapters.layouts.kohya import full_strength
from loraleak.adapters.layouts.peft import config_scale, config_table
from loraleak.adapters.shapes import TensorRole

__all__ = ["HEADER", "MIDDLE", "NEW", "OLD"]

HEADER = "lora_adapter_metadata"
"""The header field with peft's LoRA configuration as JSON; its keys have the component first, as tensors do."""

_COMPONENT = re.compile(rf"(?:{'|'.join(COMPONENTS)})\..+")
_PEFT = re.compile(r"\.lora_([AB]|magnitude_vector)\b")
_MIDDLE = re.compile(r"(?P<path>.+)\.lora(_linear_layer)?\.((?P<side>down|up)\.weight|alpha)")
_OLD = re.compile(r"(?P<path>.+)\.(?P<slot>to_q|to_k|to_v|to_out)_lora\.((?P<side>down|up)\.weight|alpha)")

_UNET_SLOTS = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}
_TEXT_SLOTS = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def _new_part(name: str) -> Part | None:
    split = split_name(name)
    if split is None or name.startswith("bundle_emb."):
        return None
    stem, role = split
    return dotted_part(stem, role) if _COMPONENT.fullmatch(stem) or _PEFT.search(name) else None


def _middle_part(name: str) -> Part | None:
    if match := _MIDDLE.fullmatch(name):
        return dotted_part(match["path"].replace(".processor.", "."), _role(match["side"]))
    return None


def _old_part(name: str) -> Part | None:
    if match := _OLD.fullmatch(name):
        part = dotted_part(match["path"].removesuffix(".processor"), _role(match["side"]))
        slots = _TEXT_SLOTS if part.component.startswith("text_encoder") else _UNET_SLOTS
        return replace(part, path=f"{part.path}.{slots[match['slot']]}")
    return None


def _role(side: str | None) -> TensorRole:
    if side is None:
        return "alpha"
    return "down" if side == "down" else "up"


def _header_scales(fields: Mapping[str, str]) -> Scales:
    if HEADER not in fields:
        return full_strength(fields)
    try:
        table = config_table(fields[HEADER])
    except ValueError:
        return lambda module, rank: (None, "header")
    configs = {
        component: {key.removeprefix(f"{component}."): v for key, v in table.items() if key.startswith(f"{component}.")}
        for component in COMPONENTS
    }
    # A single model's `save_lora_adapter` writes neither its tensors nor its configuration with a component.
    whole = {key: value for key, value in table.items() if "." not in key}

    def scale(module: str, rank: int) -> tuple[float | None, ScaleFrom]:
        config = configs[module.partition(".")[0]] or whole
        return (config_scale(config, module, rank), "header") if config else (1.0, "loaders")

    return scale


NEW = Dialect(name="diffusers", part=_new_part, scales=_header_scales)
MIDDLE = Dialect(name="diffusers", part=_middle_part, scales=full_strength)
OLD = Dialect(name="diffusers", part=_old_part, scales=full_strength)
