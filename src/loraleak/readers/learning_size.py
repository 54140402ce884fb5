"""The reader of the number of photos: ridge regression of its logarithm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loraleak.readers.contents import Size
from loraleak.readers.linear import fit
from loraleak.readers.samples import Rows

__all__ = ["SizeJudged", "judge_size", "learn_size"]

_NINE_OF_TEN = (0.05, 0.95)
_TINY = 1e-3


@dataclass(frozen=True)
class SizeJudged:
    """Readings for people whom the reader has not seen, as natural logarithms of numbers of photos."""

    read: Float[np.ndarray, " people"]
    truth: Float[np.ndarray, " people"]
    covered: Float[np.ndarray, " people"]
    """1 where the truth lies within the stated bounds, else 0."""


def learn_size(
    shown: Float[np.ndarray, "rows features"], photos: Int[np.ndarray, " rows"], people: Rows
) -> tuple[Size, dict[str, np.ndarray]]:
    """The reader and its tensors. Its bounds are quantiles of its errors on left-out people."""
    centre, spread = shown.mean(0), shown.std(0) + _TINY
    target = np.log(photos)[:, None]
    found = fit((shown - centre) / spread, target, people)
    below, above = np.quantile(target - found.left_out, _NINE_OF_TEN)
    weights = found.weights / spread[:, None]
    size = Size(usual=float(target.mean()), below=max(0.0, -float(below)), above=max(0.0, float(above)))
    return size, {"size/weights": weights, "size/intercept": found.intercept - centre @ weights}


def judge_size(
    size: Size,
    tensors: Mapping[str, np.ndarray],
    shown: Float[np.ndarray, "people features"],
    photos: Int[np.ndarray, " people"],
) -> SizeJudged:
    """Readings for people whom the reader has not seen, beside the truth."""
    read = (shown @ tensors["size/weights"] + tensors["size/intercept"])[:, 0]
    truth = np.log(photos)
    inside = (read - size.below <= truth) & (truth <= read + size.above)
    return SizeJudged(read, truth, inside.astype(float))
