"""Parts of defences that do the same to every module."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import torch

from loraleak.types import Adapter, Factors

__all__ = ["by_module", "generator_for"]


def by_module(adapter: Adapter, change: Callable[[str, Factors], Factors]) -> Adapter:
    """The adapter with `change` applied to every pair. It has no file yet; its header stays."""
    factors = {name: change(name, pair) for name, pair in adapter.factors.items()}
    return replace(adapter, factors=factors, format="memory", sha256="")


def generator_for(seed: int, name: str, pair: Factors) -> torch.Generator:
    """A generator whose numbers are a function of the seed, the module and the pair's own values.

    If the seed alone decided them, anybody who guesses it could draw the noise again and subtract it. Only the owner knows the
    values that went in.
    """
    digest = sha256(f"{seed}\n{name}\n".encode())
    for factor in (pair.down, pair.up):
        digest.update(factor.detach().cpu().double().contiguous().numpy().tobytes())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "big"))
