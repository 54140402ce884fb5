"""How defences fared against an attack that was trained against them, over many people: docs/paper.md."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["Trial", "trial_of"]

Trial = Literal["untried", "fell", "held"]
"""`fell`: it found more than the usual attacks do. `held`: no more was shown; a better one may."""

_TRIALS: Mapping[str, Trial] = {"gaussian-noise": "fell", "quantisation": "fell"}


def trial_of(defence: str) -> Trial:
    """By the defence's name, without settings."""
    return _TRIALS.get(defence, "untried")
