"""The test among other people at several looks, so that an audit may stop as soon as its level is certain.

Arms come one after the other. After each attack everybody, the owner and the others alike, has the statistic of the attacks so far.
Whoever stands out by `margin` standard deviations is put on a list, the farthest first, and stays there. After the last attack all the
rest follow. The owner's p is the place on this list, over the number of all people.

The list is made by a rule that treats everybody alike. So if the owner's photos are exchangeable with the others', the owner's place is
uniform, whatever the margin, and p is exact at any look: this is alpha spending (Lan and DeMets 1983) on permutations, where a look
spends as much as there are people who stand out at it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from loraleak.auditing.nulls.other_people import OtherPeople, standing_out
from loraleak.types import Embeddings, Sightings

__all__ = ["MARGIN", "Looks", "place_of_first"]

MARGIN = 3.5
"""Standard deviations, between those of strangers and of owners on pocket. In most audits nobody else stands out so far, and then the
early looks leave the last one its power."""


class Looks:
    """The looks of one audit."""

    def __init__(self, photos: Embeddings, others: OtherPeople, *, margin: float = MARGIN) -> None:
        self.photos, self.others, self.margin = photos, others, margin
        self._statistics: list[Float[np.ndarray, " people"]] = []

    def look(self, arms: Mapping[str, Sightings], *, attacks: Sequence[str], floor: str) -> float:
        """p from the attacks so far; 1 as long as it is not certain. `arms` hold all that was sampled until now."""
        standing = standing_out(arms, self.photos, self.others, attacks=attacks, floor=floor)
        self._statistics.append(standing.max(axis=1))
        return place_of_first(self._statistics, self.margin) / (1 + len(self.others))

    @property
    def p_value(self) -> float:
        """p where no look follows."""
        return place_of_first(self._statistics, self.margin, closed=True) / (1 + len(self.others))


def place_of_first(looks: Sequence[Float[np.ndarray, " people"]], margin: float, *, closed: bool = False) -> float:
    """Place of the first person on the list, 1 for the front; the number of people, as long as the person is not on it.

    People with equal statistics all get the last of their places. `closed`: everybody is put on the list at the last look.
    """
    waiting = np.ones(len(looks[0]), dtype=bool)
    for number, statistic in enumerate(looks, 1):
        listed = waiting & ((statistic >= margin) | (closed and number == len(looks)))
        if listed[0]:
            return float((~waiting).sum() + (listed & (statistic >= statistic[0])).sum())
        waiting &= ~listed
    return float(len(waiting))
