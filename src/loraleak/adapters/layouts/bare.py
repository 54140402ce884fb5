"""Names without any prefix: the modules as the model's own code has them, with kohya's or LyCORIS' endings."""

from loraleak.adapters.detect import Dialect, Part, dotted_part, split_name
from loraleak.adapters.layouts.kohya import full_strength

__all__ = ["BARE"]


def _part(name: str) -> Part | None:
    split = split_name(name)
    return None if split is None or name.startswith("bundle_emb.") else dotted_part(*split)


BARE = Dialect(name="bare", part=_part, scales=full_strength)
