"""All families that we know, the likeliest first."""

from collections.abc import Mapping

from loraleak.families.double_stream import AURAFLOW, CHROMA, FLUX, FLUX2, HUNYUAN_VIDEO, SD3
from loraleak.families.family import Family
from loraleak.families.language import LANGUAGE_MODEL
from loraleak.families.single_stream import ANIMA, CASCADE, HIDREAM, KREA2, LUMINA2, PIXART, QWEN_IMAGE, SANA, Z_IMAGE
from loraleak.families.stable_diffusion import ANIMATEDIFF, KOLORS, POCKET, SD1, SD2, SDXL
from loraleak.families.video import COGVIDEOX, LTX2, LTX_VIDEO, WAN

__all__ = ["FAMILIES", "titles"]

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        SD1,
        SD2,
        SDXL,
        POCKET,
        KOLORS,
        SD3,
        FLUX,
        QWEN_IMAGE,
        FLUX2,
        CHROMA,
        HUNYUAN_VIDEO,
        Z_IMAGE,
        LUMINA2,
        WAN,
        LTX2,
        LTX_VIDEO,
        ANIMA,
        KREA2,
        HIDREAM,
        PIXART,
        SANA,
        AURAFLOW,
        CASCADE,
        COGVIDEOX,
        ANIMATEDIFF,
        LANGUAGE_MODEL,
    )
}
"""Families by name. A new family is one more entry here, and its table."""


def titles(names: tuple[str, ...]) -> str:
    """What people call these families; where there are several, a file fits each of them."""
    known = [FAMILIES[name].title for name in names]
    if not known:
        return "an unknown base"
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"
