"""ComfyUI's names, which ai-toolkit writes too: `diffusion_model.` and a path in the model's original code, or in diffusers'."""

import re
from collections.abc import Mapping

from loraleak.adapters import layers
from loraleak.adapters.detect import Dialect, Part, Scales, module_path, split_name

__all__ = ["COMFYUI", "ENCODERS"]

ENCODERS = {"clip_l": "text_encoder", "clip_h": "text_encoder", "clip_g": "text_encoder_2", "t5xxl": "text_encoder_3"}

_IMAGE = re.compile(r"(?:model\.)?diffusion_model\.(.+)")
_TEXT = re.compile(rf"(?:text_encoders\.)?({'|'.join(ENCODERS)})\.(?:transformer\.)?(.+)")
_UNET_ROOTS = ("down_blocks.", "up_blocks.", "mid_block.", "input_blocks.", "middle_block.", "output_blocks.")


def _part(name: str) -> Part | None:
    split = split_name(name)
    if split is None:
        return None
    stem, role = split
    if match := _IMAGE.fullmatch(stem):
        component = "unet" if match[1].startswith(_UNET_ROOTS) else "transformer"
        return Part(layers.dotted(match[1]) or f"{component}.{match[1]}", role)
    if match := _TEXT.fullmatch(stem):
        return Part(module_path(f"{ENCODERS[match[1]]}.{match[2]}"), role)
    return None


def _unknown(fields: Mapping[str, str]) -> Scales:
    return lambda module, rank: None


COMFYUI = Dialect(name="comfyui", part=_part, scales=_unknown)
