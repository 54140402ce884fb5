"""A defence that does the same to every module: an adapter from its factor pairs."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import torch

from loraleak.types import Adapter, Factors

__all__ = ["by_module", "generator_for"]


def by_module(adapter: Adapter, change: Callable[[str, Factors], Factors]) -> Adapter:
    """The adapter of the changed pairs. It has no file yet; its header stays."""
    factors = {name: change(name, pair) for name, pair in adapter.factors.items()}
    return replace(adapter, factors=factors, format="memory", sha256="")


def generator_for(seed: int, name: str, pair: Factors) -> torch.Generator:
    """Random numbers that are a function of the seed, the module and the pair's own values.

    Were they a function of the seed alone, whoever guesses it could draw the noise again and take it off; the values that went in are
    known to the owner only.
    """
    digest = sha256(f"{seed}\n{name}\n".encode())
    for factor in (pair.down, pair.up):
        digest.update(factor.detach().cpu().double().contiguous().numpy().tobytes())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "big"))
