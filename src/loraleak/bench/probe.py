"""The weight probe: what can be read from adapters alone, before any picture is made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from loraleak.bench.bench_settings import ProbeSettings
from loraleak.errors import UsageError
from loraleak.inversion import InvariantEncoder, InvariantShape, Knowledge, ProbeStatistics, since_start
from loraleak.people import Identity
from loraleak.progress import track
from loraleak.scores import bootstrap_mean
from loraleak.types import StackedFactors
from loraleak.untrusted import printable
from loraleak.zoo import Zoo

__all__ = ["probe_weights", "ridge"]

_RIDGES = tuple(10.0**power for power in range(-4, 2))
_BATCH = 100
_SHOWN = 5


def probe_weights(zoos: Sequence[Zoo], people: Sequence[Identity], settings: ProbeSettings) -> dict[str, Any]:
    """Predict traits of unseen people from their last adapter, by ridge regression on gauge-free features.

    Features are the probed updates that the invariant encoder reads, linear in `dW`; probes are set on the people who are
    learned from. The true traits are those that everybody has by name. Traits are predicted once from the file alone, and once
    from the change since the first step, which needs a seed that nobody who downloads a file has. The unit of intervals is the
    unseen person.
    Raises: UsageError, if there are too few people, or if nobody wrote down the traits of one.
    """
    rows = [(zoo, int(row)) for zoo in zoos for row in zoo.last_rows()]
    most = len(rows) - settings.unseen
    if most < min(settings.learned_from):
        raise UsageError(
            f"{len(rows)} people are too few to learn from {min(settings.learned_from)} and judge {settings.unseen}"
        )
    order = np.random.default_rng(settings.seed).permutation(len(rows))
    unseen, learned = order[: settings.unseen], order[settings.unseen :]
    names = [zoo.manifest["person"][row].as_py() for zoo, row in rows]
    by_name = {person.name: person for person in people}
    if lacking := sorted({name for name in names if name not in by_name}):
        named = printable(", ".join(lacking[:_SHOWN]), 300)
        raise UsageError(
            f"{named}: in a zoo, and not among the people: give the folder of people that the zoos were built from"
        )
    traits = [by_name[name].traits for name in names]
    shared = [trait for trait in traits[0] if all(trait in mine for mine in traits)]
    if not shared:
        raise UsageError("no trait is known of everybody: write each trait for every person")
    table: dict[str, Any] = {}
    for knowledge in ("file", "start"):
        features = _features(rows, learned, knowledge)
        table[knowledge] = {
            str(count): _judged(features, traits, shared, learned[:count], unseen)
            for count in settings.learned_from
            if count <= most
        }
    majority = {
        trait: bootstrap_mean(_right([_most_common([traits[i][trait] for i in learned])] * len(unseen), traits, unseen, trait))
        for trait in shared
    }
    return {
        "schema": "loraleak.bench-probe/2",
        "people": len(rows),
        "unseen": settings.unseen,
        "classes": {trait: len({t[trait] for t in traits}) for trait in shared},
        "majority": {trait: vars(interval) for trait, interval in majority.items()},
        "knowledge": table,
    }


def ridge(
    features: Float[np.ndarray, "people size"], labels: Sequence[str], others: Float[np.ndarray, "others size"]
) -> list[str]:
    """Ridge regression on one-hot labels, with the strength whose leave-one-out error on the known people is least.

    It is solved in the dual form, so the cost grows with people, not with features. Leave-one-out residuals are `alpha_i /
    G_ii` with `G = (K + lambda I)^-1` (Rifkin and Lippert 2007).
    """
    names = sorted(set(labels))
    target = (np.array(labels)[:, None] == np.array(names)).astype(np.float64)
    centre, mean = features.mean(0), target.mean(0)
    seen = (features - centre).astype(np.float64)
    kernel = seen @ seen.T
    values, vectors = np.linalg.eigh(kernel)
    projected = vectors.T @ (target - mean)
    best, chosen = np.inf, np.zeros_like(target)
    for strength in _RIDGES:
        inverse = 1 / (values.clip(0) + strength * values.mean())
        alpha = vectors @ (inverse[:, None] * projected)
        left_out = alpha / np.einsum("ij,j,ij->i", vectors, inverse, vectors)[:, None]
        error = float((left_out**2).mean())
        if error < best:
            best, chosen = error, alpha
    scores = (others - centre) @ (seen.T @ chosen) + mean
    return [names[i] for i in scores.argmax(1)]


def _judged(
    features: Float[np.ndarray, "people size"],
    traits: Sequence[Mapping[str, str]],
    shared: Sequence[str],
    learned: Int[np.ndarray, " learned"],
    unseen: Int[np.ndarray, " unseen"],
) -> dict[str, Any]:
    named = {t: ridge(features[learned], [traits[i][t] for i in learned], features[unseen]) for t in shared}
    right = {t: _right(values, traits, unseen, t) for t, values in named.items()}
    right["all"] = np.min(list(right.values()), axis=0)
    return {t: vars(bootstrap_mean(values)) for t, values in right.items()}


def _features(
    rows: Sequence[tuple[Zoo, int]], learned: Int[np.ndarray, " learned"], knowledge: Knowledge
) -> Float[np.ndarray, "people size"]:
    shapes = rows[0][0].shapes
    statistics = ProbeStatistics(shapes)
    for weights in _batches([rows[i] for i in sorted(learned)], knowledge):
        statistics.add(weights)
    encoder = InvariantEncoder(shapes, (1, 1), InvariantShape(width=1, code=1), steps=False)
    encoder.set_probes(statistics)
    parts = []
    with torch.no_grad():
        for weights in track(_batches(rows, knowledge), f"probing ({knowledge})", total=-(-len(rows) // _BATCH)):
            parts.append(encoder.features(weights)[0].flatten(1).numpy())
    return np.concatenate(parts)


def _batches(rows: Sequence[tuple[Zoo, int]], knowledge: Knowledge) -> Iterator[StackedFactors]:
    """Batches of adapters in the order of the rows; a batch comes from one zoo."""
    start = 0
    while start < len(rows):
        zoo = rows[start][0]
        end = start
        while end < len(rows) and rows[end][0] is zoo and end - start < _BATCH:
            end += 1
        mine = np.array([row for _, row in rows[start:end]])
        weights = zoo.batch(mine)
        yield since_start(weights, zoo.starts[mine]) if knowledge == "start" else weights
        start = end


def _right(
    named: Sequence[str], traits: Sequence[Mapping[str, str]], unseen: Int[np.ndarray, " unseen"], trait: str
) -> Float[np.ndarray, " unseen"]:
    return np.array([float(name == traits[i][trait]) for name, i in zip(named, unseen, strict=True)])


def _most_common(values: Sequence[str]) -> str:
    return max(sorted(set(values)), key=list(values).count)
