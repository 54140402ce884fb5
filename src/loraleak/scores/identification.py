"""Closed-set identification: the rank of the right person in a gallery."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from loraleak.scores.sightings import beside
from loraleak.scores.similarity import template
from loraleak.types import Embeddings, Sightings

__all__ = ["gallery_ranks", "leave_one_out", "recognised"]

_ROUNDING = 1e-6


def gallery_ranks(probes: Embeddings, gallery: Float[np.ndarray, "people dim"], identity: int) -> Int[np.ndarray, " images"]:
    """Number of people in the gallery who are at least as similar to each probe as the right person (0: rank-1 hit).

    A tie, within rounding, counts against the probe, so that an embedder that returns a constant scores nothing.

    >>> gallery = np.eye(3, dtype=np.float32)
    >>> gallery_ranks(np.array([[0.8, 0.6, 0.0]], np.float32), gallery, identity=1).tolist()
    [1]
    """
    similarity = probes @ gallery.T
    ranks: np.ndarray = (similarity >= similarity[:, [identity]] - _ROUNDING).sum(axis=1) - 1
    return ranks.astype(np.int64)


def leave_one_out(photos: Embeddings, others: Sequence[Embeddings]) -> Bool[np.ndarray, " photos"]:
    """Whether each photo of one person is nearer to the template of the person's other photos than to every other person's.

    Templates of other people use at most as many photos. A tie counts against the photo.
    """
    count = len(photos) - 1
    gallery = np.stack([template(mine[:count]) for mine in others])
    templates = np.stack([template(np.delete(photos, i, axis=0)) for i in range(len(photos))])
    own = (photos * templates).sum(axis=1)
    found: np.ndarray = own > (photos @ gallery.T).max(axis=1) + _ROUNDING
    return found


def recognised(
    sightings: Sightings, photos: Embeddings, others: Sequence[Embeddings]
) -> tuple[Bool[np.ndarray, " pictures"], Int[np.ndarray, " others"]]:
    """Whether each picture is nearest to the person in `photos`, and the number of pictures that are nearest to each other person.

    People are compared by their templates. Templates of other people use at most as many photos as there are of the person. A picture
    of nobody, or one that is as near to two people, is nearest to nobody.
    """
    people = np.stack([template(photos), *(template(mine[: len(photos)]) for mine in others)])
    cosines = beside(sightings, people)
    best = cosines.max(axis=1, keepdims=True)
    tops = (cosines >= best - _ROUNDING) & (best > 0)
    alone = tops & (tops.sum(axis=1, keepdims=True) == 1)
    return alone[:, 0], alone[:, 1:].sum(axis=0)
