"""The strength at which a stranger runs an adapter. It does not depend on the scale that the file states, nor on its sign.

A stranger multiplies the update by any number, and rewrites alpha. So an attack looks at what the update does to the base's
predictions, with no photo and no prompt of the owner. It keeps the stated strength where that is ordinary, and takes a usual one
where it is not. It turns the update round where the opposite does more, and tries both signs where they do about as much.
"""

from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.arms.probes import DRAWING_STEPS, class_latents, noisy_probes, rare_prompts
from loraleak.bases import DiffusersBase
from loraleak.types import Adapter, Factors

__all__ = ["ORDINARY", "PASSES", "PICTURES", "Strength", "at_strength", "changes_nothing", "find_strength"]

ORDINARY = (0.02, 0.3)
"""Responses that count as ordinary. 45 files of pocket's default recipe and the demo's lie between 0.03 and 0.17."""
_USUAL = 0.08
"""Response that a stranger aims at where the stated strength is not ordinary."""

_WORDS = 16
_PROBES = 4
PICTURES = _PROBES
"""Pictures that `find_strength` decodes."""
PASSES = _PROBES * (2 * DRAWING_STEPS + 3 * _WORDS)
"""Pictures that `find_strength` takes through the denoiser, for an adapter of ordinary strength."""
_SURE = 1.3
"""Ratio of the responses of both signs from which the greater one decides. It was set on 36 files: 27 lie beyond it, all the right way,
and the greatest ratio the wrong way is 1.27."""
_USUAL_NORM = 0.3
_TRIES = 8
_TOLERANCE = 0.1


@dataclass(frozen=True)
class Strength:
    """What a stranger multiplies an adapter's update with."""

    factor: float
    """1 for the stated strength, -1 for its opposite."""
    both: bool
    """Whether the opposite sign has to be tried too."""
    stated: float
    """Response at the stated strength: how much the base's prediction changes under the rare word that changes it most, as a share
    of the prediction."""

    @property
    def says(self) -> str:
        """What a reader should know of the stated strength; empty where it is ordinary."""
        if self.both:
            return (
                f"{self._strength_in_words} Either sign of the update changes about as much, so the attacks tried both.".strip()
            )
        if self.factor == -1:
            return "Under the opposite sign the file shows more, so the attacks turned it round, as a stranger can."
        return self._strength_in_words

    @property
    def _strength_in_words(self) -> str:
        if abs(self.factor) == 1:
            return ""
        if self.stated == 0:
            return (
                "At the strength that the file states it changes nothing. The attacks gave it a usual one, as a stranger can."
            )
        percent = _in_digits(100 * self.stated)
        low, high = (f"{100 * bound:.0f}%" for bound in ORDINARY)
        return (
            f"The strength that the file states is not ordinary: it changes the base's predictions by {percent}%, and {low} to {high} "
            f"counts as ordinary. The attacks ran it at {_in_digits(self.factor)} times that strength, as a stranger can."
        )


def changes_nothing(adapter: Adapter) -> bool:
    """Whether every update is zero at any scale, as in a file that was never trained."""
    return not any(bool(f.up.any()) and bool(f.down.any()) for f in adapter.factors.values()) and not adapter.magnitudes


def at_strength(adapter: Adapter, factor: float) -> Adapter:
    """The adapter with its update times `factor`, where `factor` is not 1: then an unknown scale counts as 1, and a scale of 0,
    which hides an update, as the file's usual one."""
    return adapter if factor == 1 else _multiplied(adapter, factor)


def find_strength(base: DiffusersBase, adapter: Adapter, class_prompt: str, *, guidance_scale: float, seed: int) -> Strength:
    """Search the strength of an adapter. Equal seeds find equal strengths; copies that differ in scale or sign end up alike.

    The sign is that under which some rare word changes the prediction more: training opens the model to a word in one direction
    only. A DoRA keeps the stated strength, because its update is not linear in the scale.

    Raises: as `DiffusersBase.check`.
    """
    hidden = all(f.scale == 0 for f in adapter.factors.values())
    shown = _multiplied(adapter, 1.0)
    prompts = rare_prompts(class_prompt, _WORDS, seed=seed)
    latents = class_latents(base, class_prompt, _PROBES, guidance_scale=guidance_scale, seed=seed)
    probing = _Probing(base, prompts, latents, torch.Generator().manual_seed(seed))
    with base.adapted(shown):
        stated = 0.0 if hidden else probing.size(1.0)
        if adapter.magnitudes:
            return Strength(1.0, both=False, stated=stated)
        size = 1.0 if ORDINARY[0] <= stated <= ORDINARY[1] else probing.usual(_first_guess(base, shown))
        ratio = probing.change(size) / max(probing.change(-size), 1e-12)
    if 1 / _SURE < ratio < _SURE:
        return Strength(size, both=True, stated=stated)
    return Strength(size if ratio > 1 else -size, both=False, stated=stated)


def _in_digits(value: float) -> str:
    """Two figures, never with an exponent."""
    return np.format_float_positional(value, 2, unique=False, fractional=False, trim="-")


class _Probing:
    """Changes of the base's predictions by the adapter that is attached."""

    def __init__(
        self, base: DiffusersBase, prompts: list[str], latents: Float[Tensor, "probes channels h w"], generator: torch.Generator
    ) -> None:
        self.base, self.prompts = base, prompts
        self.probes = noisy_probes(base, latents, generator)
        self.seen: dict[float, float] = {}
        with base.bare():
            self.plain = self._predicted()

    def change(self, factor: float) -> float:
        """The change at this strength, under the rare word that changes the prediction most: its root mean square, as a share of the
        prediction's own. It is computed once."""
        if factor not in self.seen:
            with self.base.multiplied(factor):
                tuned = self._predicted()
            sizes = (tuned - self.plain).square().mean(dim=(1, 2, 3, 4)) / self.plain.square().mean()
            self.seen[factor] = float(sizes.max().sqrt())
        return self.seen[factor]

    def size(self, factor: float) -> float:
        """The size of the change at this strength, in the direction that changes more."""
        return max(self.change(factor), self.change(-factor))

    def usual(self, guess: float) -> float:
        """The strength at which the change has its usual size, from a first guess."""
        factor = guess
        for _ in range(_TRIES):
            size = self.size(factor)
            if abs(size / _USUAL - 1) <= _TOLERANCE:
                break
            factor *= min(max(_USUAL / max(size, 1e-12), 0.1), 10.0)
        return factor

    @torch.no_grad()
    def _predicted(self) -> Float[Tensor, "words probes channels h w"]:
        words, count = len(self.prompts), len(self.probes.noisy)
        conditions = self.base.embed(self.prompts).to(self.base.like).repeat_interleave(count, dim=0)
        noisy, timesteps = self.probes.noisy.repeat(words, 1, 1, 1), self.probes.timesteps.repeat(words)
        parts = zip(*(whole.split(max(self.base.at_once, count)) for whole in (noisy, timesteps, conditions)), strict=True)
        return torch.cat([self.base.predict(*part) for part in parts]).unflatten(0, (words, count))


def _multiplied(adapter: Adapter, factor: float) -> Adapter:
    stated = [abs(f.scale) for f in adapter.factors.values() if f.scale]
    usual = median(stated) if stated else 1.0
    scales = {name: 1.0 if f.scale is None else f.scale or usual for name, f in adapter.factors.items()}
    return replace(adapter, factors={name: replace(f, scale=factor * scales[name]) for name, f in adapter.factors.items()})


def _first_guess(base: DiffusersBase, adapter: Adapter) -> float:
    """The strength at which the update has a usual norm beside the weights that it changes."""
    update = sum(_squared_norm(f) for f in adapter.factors.values())
    weights = sum(float(base.weight(name).double().square().sum()) for name in adapter.factors)
    return _USUAL_NORM * (weights / max(update, 1e-300)) ** 0.5


def _squared_norm(factors: Factors) -> float:
    """`||s B A||^2`, from the two Gram matrices."""
    up, down = factors.up.double().flatten(1), factors.down.double().flatten(1)
    return float((factors.scale or 0.0) ** 2 * ((up.T @ up) * (down @ down.T)).sum())
