"""What weights alone tell: traits in words and the number of photos, beside a blind guess and the published reader."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from loraleak.bench.bench_settings import LeaksSettings
from loraleak.people import Identity
from loraleak.readers import Samples, learn_readers, samples_of, split_of
from loraleak.readers.features import singular_values
from loraleak.readers.samples import Rows
from loraleak.scores import bootstrap_mean
from loraleak.zoo import Zoo

__all__ = ["bench_leaks", "dsire"]


def bench_leaks(zoos: Sequence[Zoo], people: Sequence[Sequence[Identity]], settings: LeaksSettings) -> dict[str, Any]:
    """Learn readers from people of the zoos, and measure them on people kept apart. Intervals are over these people.

    Raises: UsageError, if the zoos do not go together, or hold too few people.
    """
    samples = samples_of(zoos, people)
    readers = learn_readers(samples, kept_apart=settings.kept_apart, seed=settings.seed)
    return {"schema": "loraleak.bench-leaks/1", **asdict(readers.card), "dsire": _by_dsire(samples, settings)}


def _by_dsire(samples: Samples, settings: LeaksSettings) -> dict[str, float]:
    """Error of the published reader on the same people, as a logarithm to base 2."""
    rest, apart = split_of(samples, settings.kept_apart, settings.seed)
    learned = np.intersect1d(rest, samples.wide)
    layers = _layers(samples, learned), _layers(samples, apart)
    read = dsire(*layers, samples.photos[learned])
    return vars(bootstrap_mean(np.abs(np.log2(read / samples.photos[apart]))))


def dsire(
    known: Sequence[Float[np.ndarray, "known values"]],
    unseen: Sequence[Float[np.ndarray, "unseen values"]],
    photos: Int[np.ndarray, " known"],
) -> Int[np.ndarray, " unseen"]:
    """Numbers of photos by DSiRe (Salama et al. 2024, arXiv 2406.19395): each layer votes for the number of the known file whose
    singular values are nearest, and most votes win. Between numbers with equal votes the median one is taken."""
    votes = [
        photos[np.square(theirs[:, None] - mine[None]).sum(2).argmin(1)] for mine, theirs in zip(known, unseen, strict=True)
    ]
    return np.array([_most_voted(column) for column in np.stack(votes, axis=1)])


def _most_voted(votes: Int[np.ndarray, " layers"]) -> int:
    counts = Counter(votes.tolist())
    most = max(counts.values())
    winners = sorted(number for number, count in counts.items() if count == most)
    return int(winners[len(winners) // 2])


def _layers(samples: Samples, rows: Rows) -> list[Float[np.ndarray, "rows values"]]:
    """Singular values of every layer's update."""
    parts: list[list[np.ndarray]] = [[] for _ in samples.zoo.shapes]
    for weights in samples.batches(rows):
        for part, name in zip(parts, samples.zoo.shapes, strict=True):
            values = singular_values(weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1))
            part.append(values.numpy())
    widest = max(values.shape[1] for part in parts for values in part)
    return [np.concatenate([np.pad(v, ((0, 0), (0, widest - v.shape[1]))) for v in part]) for part in parts]
