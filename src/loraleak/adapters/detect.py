"""Which layout a tensor belongs to. Real files are mixed, so each tensor is classified, never the file."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["COMPONENTS", "Dialect", "Part", "Role", "Scales", "classify", "module_path", "unread_layout"]

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")

Role = Literal["down", "up", "alpha"]

Scales = Callable[[str, int], float | None]
"""Scale of a module, from its dotted path (component first) and its rank; None where the file does not tell."""


@dataclass(frozen=True)
class Part:
    """What one tensor is."""

    module: str
    """Dotted path, the component first."""
    role: Role


@dataclass(frozen=True)
class Dialect:
    """One way of naming tensors and of telling the scale."""

    name: str
    part: Callable[[str], Part | None]
    """Reads a tensor's name; None where it is not of this dialect."""
    scales: Callable[[Mapping[str, str]], Scales]
    """Scales from the header's fields (and the companion's text, under its name), for modules without an alpha of their own."""
    companion: str = ""
    """A file that may stand beside, needed for the scale."""


_UNREAD = (
    (
        "LyCORIS",
        re.compile(r"lora_\w+\.(hada_\w+|lokr_\w+|lora_mid\.weight|dora_scale|oft_\w+|diff|diff_b|[wb]_norm)|lycoris_.+"),
    ),
    ("kohya sd-scripts", re.compile(r"lora_(unet|te|te1|te2|te3|transformer)_.+")),
    ("cloneofsimo", re.compile(r"(unet|text_encoder):\d+:(up|down|alpha)|<[^>]+>")),
    ("ComfyUI", re.compile(r"(model\.)?diffusion_model\..+")),
    ("bundled embedding", re.compile(r"bundle_emb\..+")),
)


def classify(name: str, dialects: Iterable[Dialect]) -> tuple[Dialect, Part] | None:
    """The first dialect that knows this tensor, and what the tensor is; None where nobody does."""
    if any(pattern.fullmatch(name) for _, pattern in _UNREAD):
        return None
    for dialect in dialects:
        if part := dialect.part(name):
            return dialect, part
    return None


def unread_layout(names: Iterable[str]) -> str:
    """The layout that most of these names look like among those that we cannot read yet; empty for none."""
    seen: Counter[str] = Counter()
    for name in names:
        seen.update([layout for layout, pattern in _UNREAD if pattern.fullmatch(name)][:1])
    # Norms, alphas and plain pairs of a LyCORIS file have kohya's names, so its own tensors decide.
    if seen["LyCORIS"]:
        return "LyCORIS"
    return seen.most_common(1)[0][0] if seen else ""


def module_path(path: str) -> str:
    """The path with its component first and CLIP's `text_model.` in place; a path without component is the U-Net's.

    transformers 5 flattened `text_model.` away, files keep it.
    """
    component, _, rest = path.partition(".")
    if component not in COMPONENTS:
        is_text = path.startswith(("text_model.", "encoder.layers."))
        component, rest = ("text_encoder" if is_text else "unet"), path
    if component.startswith("text_encoder") and rest.startswith("encoder.layers."):
        rest = f"text_model.{rest}"
    return f"{component}.{rest}"
