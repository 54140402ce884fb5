"""The layout of kohya's sd-scripts, which most shared files have: `lora_unet_<dots as _>.lora_down.weight`, the scale in `.alpha`."""

import re

from loraleak.adapters.detect import Dialect, Part, Scales, split_name
from loraleak.adapters.shapes import TensorRole

__all__ = ["KOHYA", "flat_part", "full_strength"]

_COMPONENTS = {
    "unet": "unet",
    "transformer": "transformer",
    "transformer_2": "transformer_2",
    "prior_unet": "prior",
    "prior": "prior",
    "dit": "",
    "te": "text_encoder",
    "te1": "text_encoder",
    "te2": "text_encoder_2",
    "te3": "text_encoder_3",
    "te4": "text_encoder_4",
    "text_encoder": "text_encoder",
    "text_encoder_2": "text_encoder_2",
}
"""Components by what stands for them after `lora_`."""
_STEM = re.compile(rf"(?:lora_(?P<where>{'|'.join(sorted(_COMPONENTS, key=len, reverse=True))})|lora|lycoris)_(?P<stem>[^.]+)")
_ROLES: tuple[TensorRole, ...] = ("down", "up", "alpha", "magnitude")


def flat_part(name: str, roles: tuple[TensorRole, ...]) -> Part | None:
    """What a tensor with a flattened name is, where it has one of these roles."""
    split = split_name(name)
    if split is None or split[1] not in roles or not (match := _STEM.fullmatch(split[0])):
        return None
    return Part(_COMPONENTS[match["where"] or "dit"], match["stem"], split[1], flat=True)


def full_strength(fields: object) -> Scales:
    """Scale 1: without alpha all loaders take the rank for it."""
    return lambda module, rank: (1.0, "loaders")


KOHYA = Dialect(name="kohya", part=lambda name: flat_part(name, _ROLES), scales=full_strength)
