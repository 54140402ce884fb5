"""Positive controls: whether an audit that found nothing could have found something.

A failed control does not weaken a finding. It only means that the lack of a finding says nothing.
"""

from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.reporting.results import PositiveControl
from loraleak.scores import leave_one_out

__all__ = ["owner_prompt_is_seen", "photos_show_one_person"]

_MIN_FOUND = 0.5
"""Share of the owner's photos that must be found among other people's by the rest of them."""

_MAX_P = 0.05


def photos_show_one_person(embedded: Embedded, names: tuple[str, ...], others: OtherPeople) -> PositiveControl:
    """Leave out each photo of the owner in turn, and look for it among other people by means of the owner's other photos.

    It shows that this embedder recognises the person. It does not show that the adapter's pictures are clear enough for it.
    """
    if len(embedded.photos) < 2:
        return PositiveControl(
            "photos", False, "There is one photo, so nobody can tell whether it is recognised: give three or more."
        )
    if not len(others):
        return PositiveControl("photos", False, "There is nobody else to tell the person in your photos from.")
    found = leave_one_out(embedded.photos, others.photos)
    share, lost = float(found.mean()), [name for name, right in zip(names, found, strict=True) if not right]
    says = f"Each of your photos was looked for among {len(others)} other people: {found.sum()} of {len(found)} were found"
    if lost:
        says += f", {', '.join(lost[:5])}{' and more' if len(lost) > 5 else ''} not"
    return PositiveControl("photos", share >= _MIN_FOUND, f"{says}.")


def owner_prompt_is_seen(embedded: Embedded, scored: Scored, others: OtherPeople) -> PositiveControl | None:
    """Test the pictures of the owner's own prompt as if they were an attack's; None where there are none.

    It shows that the adapter, the sampler and the embedder together can show the person. It does not show that an attack could.
    """
    ceiling = [arm.name for arm in scored.arms if arm.role == "ceiling"]
    if not ceiling:
        return None
    floor = next(arm.name for arm in scored.arms if arm.role == "floor")
    test = against_other_people(embedded.pictures, embedded.photos, others, attacks=ceiling, floor=floor)
    passed = test.p_value <= _MAX_P
    verb = "show" if passed else "do not show"
    return PositiveControl(
        "prompt", passed, f"Pictures of your own prompt {verb} the person in your photos (p = {test.p_value:.2g})."
    )
