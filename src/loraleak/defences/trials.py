"""Trials of defences against an attack that was trained against them, over many people: docs/paper.md."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["Trial", "trial_of"]

Trial = Literal["untried", "fell", "held", "undone"]
"""Result of a trial. `fell`: the attack found more than the usual ones. `held`: it showed no more, though a better one may.
`undone`: no trial is needed, because a stranger can take the defence back."""

_TRIALS: Mapping[str, Trial] = {"gaussian-noise": "fell", "quantisation": "fell", "scaling": "undone"}


def trial_of(defence: str) -> Trial:
    """Trial of the defence with this name, without settings."""
    return _TRIALS.get(defence, "untried")
