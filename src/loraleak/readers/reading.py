"""What readers say of one adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import torch
from jaxtyping import Float

from loraleak.inversion.weights import stack_adapters
from loraleak.readers.contents import Readers
from loraleak.readers.features import Probes, probed, spectra
from loraleak.types import Adapter, StackedFactors

__all__ = ["Number", "Word", "number_of_photos", "probabilities", "reads", "size_features", "words"]


@dataclass(frozen=True)
class Word:
    """One trait in a word."""

    trait: str
    value: str
    confidence: float
    usual: float
    """Share of people who have this value: how often a guess of it is right."""


@dataclass(frozen=True)
class Number:
    """The number of photos, with bounds that hold in nine of ten files."""

    photos: int
    low: int
    high: int
    usual: int
    """The guess of somebody who has not seen the file."""


def reads(readers: Readers, adapter: Adapter) -> bool:
    """Whether the adapter has all modules that the readers read, of the same sizes. What was learned of whole files says nothing of
    others."""
    sizes = _probes(readers).shapes
    have = {name: (f.up.shape[0], f.down[0].numel()) for name, f in adapter.factors.items()}
    return bool(sizes) and all(have.get(name) == size for name, size in sizes.items())


def words(readers: Readers, adapter: Adapter) -> tuple[Word, ...]:
    """The likeliest value of each trait."""
    held = readers.part("traits")
    shown = probed(_stacked(readers, adapter), _probes(readers)).flatten(1).numpy()
    scores = (shown @ held["map"] @ held["directions"] + held["intercept"])[0]
    found, start = [], 0
    for trait in readers.card.traits:
        chances = probabilities(scores[None, start : start + len(trait.values)], trait.sharpness)[0]
        best = int(chances.argmax())
        found.append(Word(trait.name, trait.values[best], float(chances[best]), trait.shares[best]))
        start += len(trait.values)
    return tuple(found)


def number_of_photos(readers: Readers, adapter: Adapter) -> Number:
    """The number of photos that the adapter was trained on."""
    size, held = readers.card.size, readers.part("size")
    assert size is not None
    shown = size_features(_stacked(readers, adapter), list(_probes(readers).left))
    value = float((shown @ held["weights"] + held["intercept"])[0, 0])
    bounds = (value, value - size.below, value + size.above, size.usual)
    return Number(*(max(1, round(exp(min(bound, 20.0)))) for bound in bounds))


def size_features(weights: StackedFactors, names: Sequence[str]) -> Float[np.ndarray, "batch features"]:
    """The spectra of all modules, and the logarithms of rank and scale."""
    told = torch.stack([weights.ranks.float().log(), weights.scales.abs().clamp(min=1e-6).log()], dim=1)
    return torch.cat([spectra(weights, names).flatten(1), told], dim=1).numpy()


def probabilities(scores: Float[np.ndarray, "rows values"], sharpness: float) -> Float[np.ndarray, "rows values"]:
    """Softmax of the scores, sharpened."""
    raised = sharpness * (scores - scores.max(axis=1, keepdims=True))
    weights: np.ndarray = np.exp(raised)
    return weights / weights.sum(axis=1, keepdims=True)


def _probes(readers: Readers) -> Probes:
    """The probes, in the order of the modules' names, because a file has an order of its own."""
    left, right = (
        {name: torch.from_numpy(value) for name, value in sorted(readers.part(side).items())} for side in ("left", "right")
    )
    return Probes(left, right)


def _stacked(readers: Readers, adapter: Adapter) -> StackedFactors:
    shapes = {name: torch.Size((f.up.shape[0], *f.down.shape[1:])) for name, f in adapter.factors.items()}
    return stack_adapters([adapter], {name: shapes[name] for name in _probes(readers).left})
