"""What readers learn from: an adapter of each of many people, and what is true of these people."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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

_WIDE = 10

Rows = Int[np.ndarray, " _rows"]
"""Numbers of adapters among samples."""


@dataclass(frozen=True)
class Samples:
    """One adapter of each of many people, with what is true of them."""

    places: tuple[tuple[Zoo, int], ...]
    """Zoo and row of each adapter."""
    people: tuple[str, ...]
    """Who each adapter is of: the same text for the same person."""
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
    def wide(self) -> Rows:
        """Adapters of the zoos in which numbers of photos differ tenfold at least; all where there is no such zoo. In the other zoos
        the number says nothing but which zoo it is."""
        by_zoo: dict[int, list[int]] = {}
        for row, (zoo, _) in enumerate(self.places):
            by_zoo.setdefault(id(zoo), []).append(row)
        rows = [row for mine in by_zoo.values() if self.photos[mine].max() >= _WIDE * self.photos[mine].min() for row in mine]
        return np.array(rows or range(len(self)), np.int64)

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


def samples_of(zoos: Sequence[Zoo], people: Sequence[Sequence[Identity]]) -> Samples:
    """The last snapshot of every person in the zoos. `people` has the people of each zoo, or once those of all.

    Raises: UsageError, if the zoos are of several bases, or there are not as many groups of people.
    """
    if len({(zoo.base_sha256, tuple(zoo.shapes.items())) for zoo in zoos}) != 1:
        raise UsageError("the zoos are of different bases or modules: give zoos of one base and of one kind of targets")
    if len(people) not in (1, len(zoos)):
        raise UsageError(f"{len(people)} folders of people for {len(zoos)} zoos: give one for each zoo, or one for all")
    places, keys, traits = [], [], []
    for place, zoo in enumerate(zoos):
        known = {person.name: person for person in people[place if len(people) > 1 else 0]}
        for row in zoo.last_rows():
            name = str(zoo.manifest["person"][int(row)].as_py())
            places.append((zoo, int(row)))
            keys.append(_key(known.get(name), name))
            traits.append(_traits(known.get(name)))
    photos = np.array([zoo.manifest["images"][row].as_py() for zoo, row in places], np.int64)
    return Samples(tuple(places), tuple(keys), photos, tuple(traits))


def _key(person: Identity | None, name: str) -> str:
    """Text that is the same for one person wherever it is drawn; of a real person the folder."""
    if person is None or not isinstance(person.source, Path):
        return name
    try:
        return json.dumps(json.loads((person.source / "person.json").read_text("utf-8"))["traits"], sort_keys=True)
    except (OSError, ValueError, KeyError, TypeError):
        return str(person.source.resolve())


def _traits(person: Identity | None) -> Mapping[str, str]:
    try:
        return {} if person is None else person.traits
    except UsageError:
        return {}


def split_of(samples: Samples, kept_apart: int, seed: int) -> tuple[Rows, Rows]:
    """Rows to learn from, and rows of people who are kept apart, one each, out of `samples.wide`. Nobody is on both sides.

    Raises: UsageError, if too few people are left to learn from.
    """
    names = sorted({samples.people[row] for row in samples.wide})
    everybody = len(set(samples.people))
    if len(names) < kept_apart or everybody - kept_apart < _FEWEST:
        raise UsageError(f"{everybody} people are too few to keep {kept_apart} apart and learn from {_FEWEST}: add people")
    apart = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:kept_apart]}
    unseen = np.array([name in apart for name in samples.people])
    first = {samples.people[row]: int(row) for row in samples.wide[::-1]}
    return np.flatnonzero(~unseen), np.array(sorted(first[name] for name in apart), np.int64)
