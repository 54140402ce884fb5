"""LyCORIS, under kohya's names: LoCon with a Tucker core, LoHa and LoKr. Full differences, norms and OFT are no low-rank updates."""

from typing import get_args

from loraleak.adapters.detect import Dialect
from loraleak.adapters.layouts.kohya import flat_part, full_strength
from loraleak.adapters.shapes import TensorRole

__all__ = ["LYCORIS"]

_ROLES: tuple[TensorRole, ...] = tuple(
    role for role in get_args(TensorRole) if role == "mid" or role.startswith(("hada_", "lokr_"))
)

LYCORIS = Dialect(name="lycoris", part=lambda name: flat_part(name, _ROLES), scales=full_strength)
