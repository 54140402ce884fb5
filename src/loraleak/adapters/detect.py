"""Which layout a tensor belongs to. Real files are mixed, so each tensor is classified, never the file."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from loraleak.adapters.reduce import TensorRole

__all__ = ["COMPONENTS", "Dialect", "Part", "Scales", "classify", "module_path", "split_name"]

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")

Scales = Callable[[str, int], float | None]
"""Scale of a module, from its dotted path (component first) and its rank; None where the file does not tell."""


@dataclass(frozen=True)
class Part:
    """What one tensor is."""

    module: str
    """Dotted path, the component first."""
    role: TensorRole


def _as_they_are(fields: Mapping[str, str], modules: Collection[str]) -> Mapping[str, str]:
    return {}


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
    renames: Callable[[Mapping[str, str], Collection[str]], Mapping[str, str]] = _as_they_are
    """Better names, where only the header and all modules of the file together tell them."""


def classify(name: str, dialects: Iterable[Dialect]) -> tuple[Dialect, Part] | None:
    """The first dialect that knows this tensor, and what the tensor is; None where nobody does."""
    for dialect in dialects:
        if part := dialect.part(name):
            return dialect, part
    return None


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


_ENDINGS: tuple[tuple[str, TensorRole], ...] = (
    (r"lora_down\.weight|lora_A(\.default)?(\.weight)?", "down"),
    (r"lora_up\.weight|lora_B(\.default)?(\.weight)?", "up"),
    (r"lora_mid\.weight", "mid"),
    (r"dora_scale|lora_magnitude_vector(\.default)?(\.weight)?", "magnitude"),
    *((role, role) for role in get_args(TensorRole) if role.startswith(("hada_", "lokr_")) or role == "alpha"),
)
_NAME = re.compile(rf"(.+)\.(?:{'|'.join(f'(?P<g{i}>{ending})' for i, (ending, _) in enumerate(_ENDINGS))})")


def split_name(name: str) -> tuple[str, TensorRole] | None:
    """A tensor's module, in its file's own words, and its role there; None for tensors that belong to no low-rank update."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    role = next(role for i, (_, role) in enumerate(_ENDINGS) if match[f"g{i}"] is not None)
    return match[1], role
