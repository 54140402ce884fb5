"""A kit's quality, measured again on people whom somebody else chose."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loraleak.auditing import OtherPeople
from loraleak.bases import DiffusersBase
from loraleak.bench import CaseSettings, folder_cases, know
from loraleak.embedders import Embedder
from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.kit_building.quality import measured
from loraleak.kits import Kit, Quality
from loraleak.people import identities_in
from loraleak.scores import template
from loraleak.untrusted import printable

__all__ = ["verify_kit"]

_SEED = 13


def verify_kit(
    kit: Kit,
    people: Path,
    work: Path,
    base: DiffusersBase,
    embedder: Embedder,
    *,
    recipe: Recipe,
    photos: int = 5,
    images: int = 8,
    most: int | None = None,
) -> Quality:
    """Fine-tune on these people, audit each with the kit, and tell what was found. A stopped run goes on from `work`.

    Raises: UsageError, if the kit is for another base or embedder, if it holds no other people, or if one of these people is among
    those of the kit.
    """
    if not kit.is_for(base):
        raise UsageError(
            f"the kit is for the base {printable(kit.card.base)}, and {base.name!r} is another one: give that with --base"
        )
    if kit.sampling.embedder != embedder.name:
        raise UsageError(f"the kit is for the embedder {printable(kit.card.embedder)}, and this is {embedder.name}")
    if not kit.people:
        raise UsageError("the kit holds no templates of other people, so there is nobody to compare with: verify the whole kit")
    known = know(identities_in(people), embedder, work / "people")
    _refuse_known(kit, embedder, [(person.identity.name, person.template) for person in known])
    how = CaseSettings(
        images=images,
        steps=kit.sampling.steps,
        guidance_scale=kit.sampling.guidance_scale,
        recipe=recipe,
        photos=photos,
    )
    cases = folder_cases([person.identity for person in known], seed=_SEED)[:most]
    others = OtherPeople(tuple(kit.people), "people who come with the kit")
    attack = kit.attack_on(base)
    controls = kit.controls_for(how.setup(base, embedder, attack))
    return measured(base, embedder, attack, cases, others, controls, how, work / "quality")[0]


def _refuse_known(kit: Kit, embedder: Embedder, people: Sequence[tuple[str, np.ndarray]]) -> None:
    """Refuse people who look like one of the kit's own, where the embedder tells when two templates are of one person."""
    if embedder.same_person is None:
        return
    theirs = np.stack([template(photos) for photos in kit.people])
    own = [name for name, mine in people if (theirs @ mine).max() >= max(embedder.same_person, _SURELY)]
    if own:
        raise UsageError(
            f"{printable(', '.join(own[:5]), 300)}: the kit has templates of these people, so it cannot be checked on them: give others"
        )


_SURELY = 0.8
"""Cosine of two templates from which they surely are of one person. Different people of one studio come to 0.6."""
