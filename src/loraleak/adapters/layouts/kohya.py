"""The layout of kohya's sd-scripts, which most shared files have: `lora_unet_<dots as _>.lora_down.weight`, the scale in `.alpha`."""

import re

from loraleak.adapters import layers
from loraleak.adapters.detect import Dialect, Part, Scales, module_path, split_name
from loraleak.adapters.reduce import TensorRole

__all__ = ["KOHYA", "flat_part", "full_strength"]

COMPONENTS = {
    "unet": "unet",
    "transformer": "transformer",
    "te": "text_encoder",
    "te1": "text_encoder",
    "te2": "text_encoder_2",
    "te3": "text_encoder_3",
}
_STEM = re.compile(r"(?:lora_(?P<where>unet|transformer|te[123]?)|lycoris)_(?P<stem>[^.]+)")
_ROLES: tuple[TensorRole, ...] = ("down", "up", "alpha", "magnitude")


def flat_part(name: str, roles: tuple[TensorRole, ...]) -> Part | None:
    """What a tensor with a flattened name is, where it has one of these roles. A name that no model has stays flattened."""
    split = split_name(name)
    if split is None or split[1] not in roles or not (match := _STEM.fullmatch(split[0])):
        return None
    component, stem = COMPONENTS[match["where"] or "unet"], match["stem"]
    return Part(layers.flattened(component, stem) or module_path(f"{component}.{stem}"), split[1])


def full_strength(fields: object) -> Scales:
    """Scale 1: without alpha kohya's loaders take the rank for it."""
    return lambda module, rank: 1.0


KOHYA = Dialect(name="kohya", part=lambda name: flat_part(name, _ROLES), scales=full_strength)
