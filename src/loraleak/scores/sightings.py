"""Sightings compared with one person. A picture in which nobody was found has a cosine of 0 with everybody."""

import numpy as np
from jaxtyping import Bool, Float

from loraleak.types import Sightings

__all__ = ["beside", "found", "nearest", "nearness"]


def nearest(sightings: Sightings, person: Float[np.ndarray, " dim"]) -> Float[np.ndarray, "pictures dim"]:
    """The vector of each picture that is nearest to a template, the first of equals; zeros where nobody was found.

    The rule is the same for everybody: each person who is looked for gets the face that suits them best.
    """
    counts, starts = sightings.counts, np.cumsum(sightings.counts) - sightings.counts
    picture = np.repeat(np.arange(len(counts)), counts)
    nearest_first = np.lexsort((-(sightings.vectors @ person), picture))
    rows = np.zeros((len(counts), sightings.dim), sightings.vectors.dtype)
    shown = found(sightings)
    rows[shown] = sightings.vectors[nearest_first[starts[shown]]]
    return rows


def found(sightings: Sightings) -> Bool[np.ndarray, " pictures"]:
    """Whether anybody was found, for each picture."""
    anybody: np.ndarray = sightings.counts > 0
    return anybody


def beside(sightings: Sightings, people: Float[np.ndarray, "people dim"]) -> Float[np.ndarray, "pictures people"]:
    """Inner product of each person with the face of each picture that suits them best; 0 where nobody was found."""
    shown = found(sightings)
    best = np.zeros((len(sightings), len(people)))
    if shown.any():
        starts = (np.cumsum(sightings.counts) - sightings.counts)[shown]
        best[shown] = np.maximum.reduceat(sightings.vectors.astype(np.float64) @ people.T, starts, axis=0)
    return best


def nearness(sightings: Sightings, people: Float[np.ndarray, "people dim"]) -> Float[np.ndarray, " people"]:
    """Mean of `beside` over the pictures."""
    mean: np.ndarray = beside(sightings, people).mean(axis=0)
    return mean
