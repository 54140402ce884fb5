"""The layouts of diffusers, from attention processors (old) over `.lora.down` (middle) to PEFT names under a component (new)."""

import re
from collections.abc import Mapping

from loraleak.adapters.detect import COMPONENTS, Dialect, Part, Scales, module_path, split_name
from loraleak.adapters.layouts.peft import config_scale, config_table
from loraleak.adapters.reduce import TensorRole

__all__ = ["HEADER", "MIDDLE", "NEW", "OLD"]

HEADER = "lora_adapter_metadata"
"""The header field with peft's LoRA configuration as JSON; its keys have the component first, as tensors do."""

_COMPONENT = re.compile(rf"(?:{'|'.join(COMPONENTS)})\..+")
_MIDDLE = re.compile(r"(?P<path>.+)\.lora(_linear_layer)?\.((?P<side>down|up)\.weight|alpha)")
_OLD = re.compile(r"(?P<path>.+)\.(?P<slot>to_q|to_k|to_v|to_out)_lora\.((?P<side>down|up)\.weight|alpha)")

_UNET_SLOTS = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}
_TEXT_SLOTS = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def _new_part(name: str) -> Part | None:
    split = split_name(name)
    if split is None or name.startswith(("base_model.", "bundle_emb.")) or ".lora_down." in name or ".lora_up." in name:
        return None
    stem, role = split
    if role in ("down", "up", "magnitude") or (role == "alpha" and _COMPONENT.fullmatch(stem)):
        return Part(module_path(stem), role)
    return None


def _middle_part(name: str) -> Part | None:
    if match := _MIDDLE.fullmatch(name):
        return Part(module_path(match["path"].replace(".processor.", ".")), _role(match["side"]))
    return None


def _old_part(name: str) -> Part | None:
    if match := _OLD.fullmatch(name):
        module = module_path(match["path"].removesuffix(".processor"))
        slots = _TEXT_SLOTS if module.startswith("text_encoder") else _UNET_SLOTS
        return Part(f"{module}.{slots[match['slot']]}", _role(match["side"]))
    return None


def _role(side: str | None) -> TensorRole:
    if side is None:
        return "alpha"
    return "down" if side == "down" else "up"


def _header_scales(fields: Mapping[str, str]) -> Scales:
    try:
        table = config_table(fields.get(HEADER, ""))
    except ValueError:
        return lambda module, rank: None
    configs = {
        component: {key.removeprefix(f"{component}."): v for key, v in table.items() if key.startswith(f"{component}.")}
        for component in COMPONENTS
    }
    # A single model's `save_lora_adapter` writes neither its tensors nor its configuration with a component.
    whole = {key: value for key, value in table.items() if "." not in key}

    def scale(module: str, rank: int) -> float | None:
        component = module.partition(".")[0]
        return config_scale(configs[component] or whole, module, rank)

    return scale


def _one(fields: Mapping[str, str]) -> Scales:
    return lambda module, rank: 1.0


NEW = Dialect(name="diffusers", part=_new_part, scales=_header_scales)
MIDDLE = Dialect(name="diffusers", part=_middle_part, scales=_one)
OLD = Dialect(name="diffusers", part=_old_part, scales=_one)
