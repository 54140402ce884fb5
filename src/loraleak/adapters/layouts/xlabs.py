"""The layout of XLabs' Flux trainer: `double_blocks.0.processor.qkv_lora1.down.weight`; 1 is the image's stream, 2 the text's."""

import re

from loraleak.adapters.detect import Dialect, Part
from loraleak.adapters.layouts.kohya import full_strength

__all__ = ["XLABS"]

_NAME = re.compile(
    r"(?:diffusion_model\.)?(?P<block>(?P<kind>double|single)_blocks\.\d+)\.processor\."
    r"(?P<leaf>qkv|proj)_lora(?P<stream>[12]?)\.(?P<side>down|up)\.weight"
)


def _part(name: str) -> Part | None:
    match = _NAME.fullmatch(name)
    if match is None or (match["kind"] == "double") != bool(match["stream"]):
        return None
    if match["kind"] == "double":
        leaf = f"{'img' if match['stream'] == '1' else 'txt'}_attn.{match['leaf']}"
    else:
        leaf = "qkv" if match["leaf"] == "qkv" else "linear2"
    return Part("", f"{match['block']}.{leaf}", "down" if match["side"] == "down" else "up")


XLABS = Dialect(name="xlabs", part=_part, scales=full_strength, family="flux")
