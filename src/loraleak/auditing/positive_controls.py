"""Positive controls: whether an audit that found nothing could have found something.

A failed control does not weaken a finding. It only means that the lack of a finding says nothing.
"""

from loraleak.auditing.levels import REVIEW
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.kits import Row
from loraleak.reporting.results import PositiveControl
from loraleak.scores import leave_one_out

__all__ = [
    "known_leaks_are_found",
    "leaks_like_these_are_found",
    "nobody_knows",
    "owner_prompt_is_seen",
    "photos_show_one_person",
]

_MIN_FOUND = 0.5
"""Share of the owner's photos that must be found among other people's by the rest of them."""

_CLEARER = (
    "Your photos do not show one person whom the embedder tells from other people, so it would not have seen the person in the file "
    "either. Give three or more clear photos of one person, or another --embedder."
)
_OTHERS = (
    "The embedder sees nobody on the pictures that your person is compared with: give photos of other people with --others."
)
_OTHER_PROMPT = (
    "Even your own prompt draws nobody whom the embedder takes for the person in your photos, so the attacks' silence proves nothing. "
    "Check --prompt and --photos, or raise --images and --steps."
)
_TRAIN_SOME = (
    "Nobody knows how many files that give a person away such an audit finds on this base, so its silence proves nothing. Fine-tune a "
    "few on people who agreed, with loraleak finetune, and give them with --known-leaks."
)


def photos_show_one_person(embedded: Embedded, names: tuple[str, ...], others: OtherPeople) -> PositiveControl:
    """Leave out each photo of the owner in turn, and look for it among other people by means of the owner's other photos.

    It shows that this embedder recognises the person. It does not show that the adapter's pictures are clear enough for it.
    """
    if len(embedded.photos) < 2:
        return PositiveControl("photos", False, "There is one photo, so nobody can tell whether it is recognised.", _CLEARER)
    if not len(others):
        return PositiveControl("photos", False, "There is nobody else to tell the person in your photos from.", _OTHERS)
    found = leave_one_out(embedded.photos, others.photos)
    share, lost = float(found.mean()), [name for name, right in zip(names, found, strict=True) if not right]
    says = f"Each of your photos was looked for among {len(others)} other people: {found.sum()} of {len(found)} were found"
    if lost:
        says += f", {', '.join(lost[:5])}{' and more' if len(lost) > 5 else ''} not"
    passed = share >= _MIN_FOUND
    return PositiveControl("photos", passed, f"{says}.", "" if passed else _CLEARER)


def owner_prompt_is_seen(embedded: Embedded, scored: Scored, others: OtherPeople) -> PositiveControl | None:
    """Test the pictures of the owner's own prompt as if they were an attack's; None where there are none.

    It shows that the adapter, the sampler and the embedder together can show the person. It does not show that an attack could.
    """
    ceiling = [arm.name for arm in scored.arms if arm.role == "ceiling"]
    if not ceiling:
        return None
    floor = next(arm.name for arm in scored.arms if arm.role == "floor")
    test = against_other_people(embedded.pictures, embedded.photos, others, attacks=ceiling, floor=floor)
    passed = test.p_value <= REVIEW
    verb = "show" if passed else "do not show"
    says = f"Pictures of your own prompt {verb} the person in your photos (p = {test.p_value:.2g})."
    return PositiveControl("prompt", passed, says, "" if passed else _OTHER_PROMPT)


def leaks_like_these_are_found(
    row: Row, better: Row | None, *, images: int, steps: int, photos: int, max_miss_rate: float
) -> PositiveControl:
    """The row of the base's table of sensitivity that is nearest to this audit.

    It shows how often such an audit finds files of the usual recipe. It does not show that it finds files that are made in another
    way. `better` is the row with the fewest pictures that misses few enough.
    """
    equal = (row.images, row.steps, row.photos) == (images, steps, photos)
    audit = (
        "An audit like this one" if equal else f"An audit with {row.images} pictures, {row.steps} steps and {row.photos} photos"
    )
    says = f"{audit} found {row.review} of {row.files} files that are known to give a person away."
    passed = row.miss_rate <= max_miss_rate
    return PositiveControl(
        "known-leaks", passed, says, "" if passed else f"{says} So its silence proves little. {_advice(better)}"
    )


def known_leaks_are_found(found: int, count: int, *, images: int, steps: int, max_miss_rate: float) -> PositiveControl:
    """Files with known leaks, audited with the same settings and among the same other people.

    It shows that such settings find such files. So few files cannot show how often they miss one.
    """
    says = f"With the same settings {found} of {count} files that are known to give a person away were found."
    passed = 1 - found / count <= max_miss_rate
    remedy = (
        f"{says} So the silence of this audit proves little. Audit again with --images {2 * images} --steps {2 * steps}, or give "
        "clearer photos."
    )
    return PositiveControl("known-leaks", passed, says, "" if passed else remedy)


def nobody_knows() -> PositiveControl:
    """The control of a base for which there is no file with a known leak."""
    says = "Nobody has measured how many files that give a person away such an audit finds on this base."
    return PositiveControl("known-leaks", False, says, _TRAIN_SOME)


def _advice(better: Row | None) -> str:
    if better is None:
        return "Give more photos."
    return f"Give --images {better.images} --steps {better.steps}: such an audit found {better.review} of {better.files}."
