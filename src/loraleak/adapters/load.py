"""Reading an adapter: all its modules in memory, as torch's tensors."""

from pathlib import Path

import torch

from loraleak.adapters.opening import open_loadable
from loraleak.adapters.reading import Update, parts, read_modules
from loraleak.adapters.reduce import pair_of_halves
from loraleak.types import Adapter, Factors
from loraleak.untrusted import printable

__all__ = ["load_adapter"]


def load_adapter(path: str | Path) -> Adapter:
    """Read a LoRA from a .safetensors file, or from a PEFT or diffusers folder.

    Factors come as contiguous float32; LoHa, LoKr and Tucker modules are reduced, exactly, to a pair. A scale that the file does not
    tell is the one that all loaders apply, 1; it is None where the file tells one that we cannot follow. What was not understood is
    listed in `residue`.
    Raises: AdapterError, in one line, as `open_loadable` does, and if weights are not finite.

    >>> from loraleak.assets import DEMO
    >>> adapter = load_adapter(DEMO / "adapter.safetensors")
    >>> adapter.format, adapter.ranks, len(adapter.factors)
    ('diffusers', (8, 8), 56)
    """
    opened = open_loadable(path)
    wholes = read_modules(opened.file, opened.container, opened.contents, opened.fields)
    updates = sorted((part for whole in wholes for part in parts(whole)), key=lambda update: update.name)
    return Adapter(
        factors={update.name: _factors(update) for update in updates},
        format=opened.format,
        metadata=opened.fields,
        sha256=opened.container.sha256,
        residue=tuple(printable(name, 300) for name in opened.contents.residue),
        families=opened.contents.families,
        magnitudes={
            update.name: torch.from_numpy(update.magnitude.copy()) for update in updates if update.magnitude is not None
        },
    )


def _factors(update: Update) -> Factors:
    up, down = (torch.from_numpy(matrix.copy()) for matrix in pair_of_halves(update.halves))
    return Factors(down=down, up=up, scale=update.scale)
