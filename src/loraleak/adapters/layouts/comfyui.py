"""ComfyUI's names, which ai-toolkit writes too: `diffusion_model.` and a path in the model's original code, or in diffusers'."""

import re

from loraleak.adapters.detect import Dialect, Part, dotted_part, split_name
from loraleak.adapters.layouts.kohya import full_strength

__all__ = ["COMFYUI", "ENCODERS"]

ENCODERS = {"clip_l": "text_encoder", "clip_h": "text_encoder", "clip_g": "text_encoder_2", "t5xxl": "text_encoder_3"}

_IMAGE = re.compile(r"(?:model\.)?diffusion_model\.(.+)")
_TEXT = re.compile(rf"(?:text_encoders\.)?({'|'.join(ENCODERS)})\.(?:transformer\.)?(.+)")
_OTHER_TEXT = re.compile(r"text_encoders\.[\w-]+\.(?:transformer\.)?(.+)")


def _part(name: str) -> Part | None:
    split = split_name(name)
    if split is None:
        return None
    stem, role = split
    if match := _IMAGE.fullmatch(stem):
        return Part("", match[1], role)
    if match := _TEXT.fullmatch(stem):
        return dotted_part(f"{ENCODERS[match[1]]}.{match[2]}", role)
    if match := _OTHER_TEXT.fullmatch(stem):
        return dotted_part(f"text_encoder.{match[1]}", role)
    return None


COMFYUI = Dialect(name="comfyui", part=_part, scales=full_strength)
