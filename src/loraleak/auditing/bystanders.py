"""Bystanders: other people on the owner's photos. Fine-tuning saw them too, so each is looked for like the person."""

from collections.abc import Sequence

import numpy as np

from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.people import PhotoFile
from loraleak.reporting.results import Bystander
from loraleak.scores import Appearances, exposure, nearest

__all__ = ["seen_of_bystanders"]


def seen_of_bystanders(
    bystanders: Sequence[Appearances], photos: Sequence[PhotoFile], embedded: Embedded, scored: Scored, others: OtherPeople
) -> tuple[Bystander, ...]:
    """Exposure and p-value of each bystander. `photos` are all photos of the owner, used or not."""
    floor = next(arm.name for arm in scored.arms if arm.role == "floor")
    seen = []
    for shown in bystanders:
        pictures = np.concatenate([nearest(embedded.pictures[name], shown.template) for name in scored.attacks])
        test = against_other_people(embedded.pictures, shown.vectors, others, attacks=scored.attacks, floor=floor)
        seen.append(
            Bystander(
                photos=tuple(photos[i].name for i in shown.photos),
                exposure=float(exposure(pictures, shown.vectors).max()),
                p_value=test.p_value,
                picture=photos[shown.photos[0]].picture,
            )
        )
    return tuple(seen)
