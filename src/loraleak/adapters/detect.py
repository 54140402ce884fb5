"""Which layout a tensor belongs to. Real files are mixed, so each tensor is classified, never the file."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from loraleak.adapters.shapes import TensorRole

__all__ = [
    "COMPONENTS",
    "Dialect",
    "Part",
    "ScaleFrom",
    "Scales",
    "classify",
    "component_of",
    "dotted_part",
    "split_component",
    "split_name",
]

COMPONENTS = (
    "unet",
    "transformer",
    "transformer_2",
    "prior",
    "connectors",
    "text_conditioner",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
    "text_encoder_4",
    "language_model",
    "unknown",
)
"""Models that an adapter may change, as diffusers' pipelines call them; a `language_model` alone; and one of `unknown` kind."""

ScaleFrom = Literal["alpha", "configuration", "header", "loaders"]
"""What tells a scale: `loaders` where the file does not, and all loaders take 1."""
Scales = Callable[[str, int], tuple[float | None, ScaleFrom]]
"""Scale of a module, from its dotted path (component first) and its rank, and what tells it; None where it cannot be followed."""


@dataclass(frozen=True)
class Part:
    """What one tensor is."""

    component: str
    """One of `COMPONENTS`; empty where the name does not tell."""
    path: str
    """Path of the module within its model, in the file's own words."""
    role: TensorRole
    flat: bool = False
    """Whether the path's dots were turned to `_`."""

    @property
    def module(self) -> str:
        """Component and path, as one text."""
        return f"{self.component}.{self.path}" if self.component else self.path


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
    family: str = ""
    """The one family of which this layout's trainer makes adapters."""
    renames: Callable[[Mapping[str, str], Collection[str]], Mapping[str, str]] = _as_they_are
    """Better names, where only the header and all modules of the file together tell them."""


def classify(name: str, dialects: Iterable[Dialect]) -> tuple[Dialect, Part] | None:
    """The first dialect that knows this tensor, and what the tensor is; None where nobody does."""
    for dialect in dialects:
        if part := dialect.part(name):
            return dialect, part
    return None


def split_component(path: str) -> tuple[str, str]:
    """Component and path within it, with CLIP's `text_model.` in place; the component is empty where the path has none.

    transformers 5 flattened `text_model.` away, files keep it.
    """
    component, _, rest = path.partition(".")
    if component not in COMPONENTS or (component == "transformer" and rest.startswith(_IN_LANGUAGE_MODELS)):
        is_text = path.startswith(("text_model.", "encoder.layers."))
        component, rest = ("text_encoder" if is_text else ""), path
    if component.startswith("text_encoder") and rest.startswith("encoder.layers."):
        rest = f"text_model.{rest}"
    return component, rest


_IN_LANGUAGE_MODELS = ("h.", "wte", "encoder.layers.")
"""What language models have under a module of their own that is called `transformer`."""


def component_of(given: str, path: str, usual: str) -> str:
    """Component of a module: the one that its name gives, or the one that its family has (`usual`, if the family is known).

    kohya's trainers write `unet` for transformers too. Where nothing tells, it is `unet`, `transformer` or `unknown`.
    """
    if given and not (given == "unet" and usual):
        return given
    if usual:
        return usual
    if path.startswith(_UNET_ROOTS):
        return "unet"
    return "transformer" if _TRANSFORMER_ROOTS.fullmatch(path) else "unknown"


_UNET_ROOTS = ("down_blocks.", "up_blocks.", "mid_block.", "input_blocks.", "middle_block.", "output_blocks.")
_TRANSFORMER_ROOTS = re.compile(r"(\w+_)?(blocks|layers)[._]\d+[._].*")


def dotted_part(stem: str, role: TensorRole) -> Part:
    """The part with this dotted name, which may begin with a component."""
    return Part(*split_component(stem), role)


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
