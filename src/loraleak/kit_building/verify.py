"""A kit's quality, measured again on people whom somebody else chose."""

from pathlib import Path

from loraleak.auditing import OtherPeople
from loraleak.bases import DiffusersBase
from loraleak.bench import CaseSettings, folder_cases, know, refuse_known, tell_doubles
from loraleak.embedders import Embedder
from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.kit_building.quality import measured
from loraleak.kits import Kit, Quality
from loraleak.people import identities_in
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
    refuse_known(known, kit, embedder)
    tell_doubles(known, embedder, "the rates count them as two")
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
