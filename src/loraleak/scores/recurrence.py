"""The people on an owner's photos: the person who recurs, and the bystanders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loraleak.errors import PhotosError
from loraleak.scores.similarity import template
from loraleak.types import Sightings
from loraleak.untrusted import printable

__all__ = ["Appearances", "Shown", "left_out", "recurring"]


@dataclass(frozen=True)
class Appearances:
    """One person (or thing), on at least one photo."""

    faces: Mapping[int, int]
    """Photos that show the person, each with the index of the person's vector among those found there."""
    vectors: Float[np.ndarray, "photos dim"]
    """Vectors of the person, photo by photo."""

    @property
    def photos(self) -> tuple[int, ...]:
        """Indices of the photos that show the person, counted from 0."""
        return tuple(self.faces)

    @property
    def template(self) -> Float[np.ndarray, " dim"]:
        """One unit vector for the person."""
        return template(self.vectors)


@dataclass(frozen=True)
class Shown:
    """The people whom photos show."""

    person: Appearances
    """The person on most photos."""
    bystanders: tuple[Appearances, ...]
    """The others, by falling number of photos."""

    @property
    def ambiguous(self) -> bool:
        """Whether the first bystander is on as many photos as the person, so that the photos do not tell whom they are of."""
        return any(len(other.photos) == len(self.person.photos) for other in self.bystanders[:1])


def recurring(sightings: Sightings, same_person: float | None) -> Shown:
    """Find the person on most photos, and the bystanders.

    If several people are on as many photos, it is the one whose vectors agree most, then the first, who is the largest face. A
    person is at most one vector of each photo, whose mean cosine with the others is at least `same_person`. Every vector is
    tried as a start: the nearest vectors of the other photos join it, and those that agree least go. The remaining vectors are
    searched again, until all are taken. Without a threshold the person has a vector of every photo that has one, and every
    bystander has one.

    Raises: PhotosError, if nobody is found on any photo.
    """
    if not sightings.counts.any():
        raise PhotosError(f"no face found on any of {len(sightings)} photos: use photos that show one, or another embedder")
    photo = np.repeat(np.arange(len(sightings)), sightings.counts)
    first = np.cumsum(sightings.counts) - sightings.counts
    groups: list[Int[np.ndarray, " photos"]] = []
    rest = np.arange(len(photo))
    while len(rest):
        if same_person is None and groups:
            groups += [rest[[i]] for i in range(len(rest))]
            break
        least = -np.inf if same_person is None else same_person
        groups.append(rest[_most_recurring(sightings.vectors[rest], photo[rest], least)])
        rest = np.setdiff1d(rest, groups[-1])
    groups.sort(key=len, reverse=True)  # once a group is taken, a later one can be larger
    person, *bystanders = (
        Appearances({int(photo[row]): int(row - first[photo[row]]) for row in rows}, sightings.vectors[rows]) for rows in groups
    )
    return Shown(person, tuple(bystanders))


def left_out(names: Sequence[str], sightings: Sightings, shown: Shown) -> tuple[str, ...]:
    """Lines on the photos that do not show the person, one for each.

    Raises: PhotosError, if photos are left out and fewer than two are left.
    """
    lines = tuple(
        f"{printable(name, 100)}: {'shows only others' if count else 'no face found'}"
        for i, (name, count) in enumerate(zip(names, sightings.counts, strict=True))
        if i not in shown.person.photos
    )
    if lines and len(shown.person.photos) < 2:
        more = f"; and {len(lines) - 5} more" if len(lines) > 5 else ""
        raise PhotosError(
            f"of {len(names)} photos {len(shown.person.photos)} can be used, at least 2 must show the same person "
            f"({'; '.join(lines[:5])}{more}): add photos, or use another embedder"
        )
    return lines


def _most_recurring(
    vectors: Float[np.ndarray, "found dim"], photo: Int[np.ndarray, " found"], least: float
) -> Int[np.ndarray, " photos"]:
    groups = [_alike(start, vectors, photo, least) for start in vectors]
    return max(groups, key=lambda rows: (len(rows), _agreement(vectors[rows]).mean()))


def _alike(
    start: Float[np.ndarray, " dim"],
    vectors: Float[np.ndarray, "found dim"],
    photo: Int[np.ndarray, " found"],
    least: float,
) -> Int[np.ndarray, " photos"]:
    """The vector of each photo that is nearest to the start, without those that are too far from it or from the others."""
    cosine = vectors @ start
    order = np.lexsort((-cosine, photo))
    nearest = order[np.unique(photo[order], return_index=True)[1]]
    rows = nearest[cosine[nearest] >= min(least, cosine.max())]
    while len(rows) > 1 and (agreement := _agreement(vectors[rows])).min() < least:
        rows = np.delete(rows, agreement.argmin())
    return rows


def _agreement(vectors: Float[np.ndarray, "photos dim"]) -> Float[np.ndarray, " photos"]:
    """The mean cosine of each vector with the others; 0 for a single one."""
    cosine = (vectors @ vectors.T).astype(np.float64)
    mean: np.ndarray = (cosine.sum(axis=1) - cosine.diagonal()) / max(len(vectors) - 1, 1)
    return mean
