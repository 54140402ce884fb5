"""The reader of traits: ridge regression on one-hot words, and a sharpness that makes its confidence right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar

from loraleak.readers.contents import Trait
from loraleak.readers.linear import fit
from loraleak.readers.reading import probabilities
from loraleak.readers.samples import Rows

__all__ = ["Judged", "judge_traits", "learn_traits"]

_DIRECTIONS = 48
"""Highest rank of the map, so that it stays small."""
_SHARPNESS = (0.1, 100.0)
_LEAST = 1e-9

Truth = Mapping[str, Sequence[str]]
"""The values of each trait, one for each adapter."""


@dataclass(frozen=True)
class Judged:
    """What a reader said of people whom it has not seen. Columns are traits."""

    stated: Float[np.ndarray, "people traits"]
    """Confidence in the word that was named."""
    right: Bool[np.ndarray, "people traits"]
    majority: Bool[np.ndarray, "people traits"]
    """Whether the most usual word would have been right."""


def learn_traits(
    shown: Float[np.ndarray, "rows features"], truth: Truth, people: Rows
) -> tuple[tuple[Trait, ...], dict[str, np.ndarray]]:
    """Readers of these traits, and their tensors. The sharpness is the one under which the words of left-out people are
    likeliest (temperature scaling, Guo et al. 2017)."""
    values = {trait: tuple(sorted(set(told))) for trait, told in truth.items()}
    onehot = {t: (np.array(truth[t])[:, None] == np.array(values[t])).astype(np.float64) for t in truth}
    found = fit(shown, np.hstack(list(onehot.values())), people)
    left, sizes, right = np.linalg.svd(found.weights, full_matrices=False)
    kept = min(_DIRECTIONS, len(sizes))
    tensors = {
        "traits/map": left[:, :kept] * sizes[:kept],
        "traits/directions": right[:kept],
        "traits/intercept": found.intercept,
    }
    traits, start = [], 0
    for trait, target in onehot.items():
        scores = found.left_out[:, start : start + target.shape[1]]
        traits.append(Trait(trait, values[trait], tuple(map(float, target.mean(0))), _sharpness(scores, target)))
        start += target.shape[1]
    return tuple(traits), tensors


def judge_traits(
    traits: Sequence[Trait], tensors: Mapping[str, np.ndarray], shown: Float[np.ndarray, "people features"], truth: Truth
) -> Judged:
    """Words and confidence for people whom the reader has not seen, beside the truth."""
    scores = shown @ tensors["traits/map"] @ tensors["traits/directions"] + tensors["traits/intercept"]
    stated, right, majority, start = [], [], [], 0
    for trait in traits:
        chances = probabilities(scores[:, start : start + len(trait.values)], trait.sharpness)
        true, words = np.array(truth[trait.name]), np.array(trait.values)
        stated.append(chances.max(1))
        right.append(words[chances.argmax(1)] == true)
        majority.append(words[int(np.argmax(trait.shares))] == true)
        start += len(trait.values)
    return Judged(*(np.stack(columns, axis=1) for columns in (stated, right, majority)))


def _sharpness(scores: Float[np.ndarray, "rows values"], target: Float[np.ndarray, "rows values"]) -> float:
    def unlikely(log_sharpness: float) -> float:
        chances = probabilities(scores, float(np.exp(log_sharpness)))
        return -float(np.log((chances * target).sum(1).clip(_LEAST)).mean())

    return float(np.exp(minimize_scalar(unlikely, bounds=tuple(np.log(_SHARPNESS)), method="bounded").x))
