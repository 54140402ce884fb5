"""What readers learn from: an adapter of each of many people, and what is true of these people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from loraleak.errors import UsageError
from loraleak.people import Identity
from loraleak.types import StackedFactors
from loraleak.zoo import Zoo

__all__ = ["Rows", "Samples", "samples_of", "split_of"]

_BATCH = 64
_FEWEST = 20
"""Fewest people to learn from."""

Rows = Int[np.ndarray, " _rows"]
"""Numbers of adapters among samples."""


@dataclass(frozen=True)
class Samples:
    """One adapter of each of many people, with what is true of them."""

    places: tuple[tuple[Zoo, int], ...]
    """Zoo and row of each adapter."""
    people: tuple[str, ...]
    photos: Int[np.ndarray, " adapters"]
    """Number of photos that each adapter was trained on."""
    traits: tuple[Mapping[str, str], ...]
    """Traits of each person; empty where nobody wrote them down."""

    def __len__(self) -> int:
        return len(self.people)

    @property
    def zoo(self) -> Zoo:
        """The first zoo, whose modules and base all share."""
        return self.places[0][0]

    @property
    def shared(self) -> tuple[str, ...]:
        """Traits that everybody has by name."""
        return tuple(trait for trait in self.traits[0] if all(trait in mine for mine in self.traits))

    def batches(self, rows: Rows) -> Iterator[StackedFactors]:
        """The adapters of these rows, in this order, some at once."""
        start = 0
        while start < len(rows):
            zoo, end = self.places[rows[start]][0], start
            while end < len(rows) and self.places[rows[end]][0] is zoo and end - start < _BATCH:
                end += 1
            yield zoo.batch([self.places[row][1] for row in rows[start:end]])
            start = end


def samples_of(zoos: Sequence[Zoo], people: Sequence[Identity]) -> Samples:
    """The last snapshot of every person in the zoos. Raises: UsageError, if the zoos are of several bases."""
    if len({(zoo.base_sha256, tuple(zoo.shapes.items())) for zoo in zoos}) != 1:
        raise UsageError("the zoos are of different bases or modules: give zoos of one base and of one kind of targets")
    known = {person.name: person for person in people}
    places = [(zoo, int(row)) for zoo in zoos for row in zoo.last_rows()]
    names = [zoo.manifest["person"][row].as_py() for zoo, row in places]
    photos = np.array([zoo.manifest["images"][row].as_py() for zoo, row in places], np.int64)
    return Samples(tuple(places), tuple(names), photos, tuple(_traits(known.get(name)) for name in names))


def _traits(person: Identity | None) -> Mapping[str, str]:
    try:
        return {} if person is None else person.traits
    except UsageError:
        return {}


def split_of(samples: Samples, kept_apart: int, seed: int) -> tuple[Rows, Rows]:
    """Rows to learn from and rows of people who are kept apart; nobody is on both sides.

    Raises: UsageError, if too few people are left to learn from.
    """
    names = sorted(set(samples.people))
    if len(names) - kept_apart < _FEWEST:
        raise UsageError(f"{len(names)} people are too few to keep {kept_apart} apart and learn from {_FEWEST}: add people")
    apart = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:kept_apart]}
    unseen = np.array([name in apart for name in samples.people])
    return np.flatnonzero(~unseen), np.flatnonzero(unseen)
