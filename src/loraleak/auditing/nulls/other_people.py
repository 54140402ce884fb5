"""A null that needs no control adapter: the pictures come no nearer to the owner's photos than to other people's.

One statistic treats the owner and the others alike, so under the null the owner's rank is uniform, if the owner's photos are
exchangeable with the others'. A style that the owner's photos share with the adapter's pictures and not with the others' breaks that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from loraleak.reporting.results import NullTest
from loraleak.scores import nearness
from loraleak.types import Embeddings, Sightings

__all__ = ["OtherPeople", "against_other_people", "standing_out"]

_TINY = 1e-12


@dataclass(frozen=True)
class OtherPeople:
    """Embedded photos of people who are not shown in the owner's photos."""

    photos: tuple[Embeddings, ...]
    """Photos `[photos, dim]`, one entry for each person."""
    says: str
    """Words for these people that follow a number: `people whom the base itself draws`."""

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that so many people can give."""
        return 1 / (1 + len(self))


def against_other_people(
    arms: Mapping[str, Sightings], photos: Embeddings, others: OtherPeople, *, attacks: Sequence[str], floor: str
) -> NullTest:
    """Rank of the owner among other people, by how much the attacks' pictures stand out towards each of them.

    `p = (1 + others at least as extreme) / (1 + others)`.
    """
    names = [name for name in attacks if name in arms]
    standing = standing_out(arms, photos, others, attacks=names, floor=floor)
    statistic = standing.max(axis=1)
    beaten_by = int((statistic[1:] >= statistic[0]).sum())
    strongest = int(standing[0].argmax())
    if len(others):
        reasons: tuple[str, ...] = (
            f"The pictures come as near to {beaten_by} of {len(others)} other people as to the person in these photos.",
            f"The clearest sign is in {names[strongest]}: its pictures moved {standing[0, strongest]:.1f} standard deviations further "
            "towards these photos than towards other people's, away from the base's own pictures.",
        )
    else:
        reasons = ("There was nobody to compare the person in these photos with.",)
    return NullTest(
        name="other-people",
        says=f"the photos of {len(others)} {others.says}",
        p_value=(1 + beaten_by) / (1 + len(others)),
        smallest_p=others.smallest_p,
        statistic=float(statistic[0]),
        reasons=reasons,
    )


def standing_out(
    arms: Mapping[str, Sightings], photos: Embeddings, others: OtherPeople, *, attacks: Sequence[str], floor: str
) -> Float[np.ndarray, "people arms"]:
    """Nearness of each arm's pictures to each person, above that of the base's own, in standard deviations over the people.

    The owner is row 0. Nearness is the mean cosine over pictures and photos; of several faces on a picture the one counts that suits
    the person best, whoever the person is. At most as many photos of each other person count as the owner has. Where another person
    has fewer, that person's mean varies more than the owner's, which can only raise p.
    """
    people = [photos, *(mine[: len(photos)] for mine in others.photos)]
    centres = np.stack([mine.mean(axis=0, dtype=np.float64) for mine in people])
    by_base = nearness(arms[floor], centres)
    nearer = np.stack([nearness(arms[name], centres) - by_base for name in attacks], axis=1)
    standard: np.ndarray = (nearer - nearer.mean(axis=0)) / np.maximum(nearer.std(axis=0), _TINY)
    return standard
