"""The track record of audits like this one: the base's table where it has a row, else the files with known leaks themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loraleak.arms import Arm, reconstruct, with_turned
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.calibration import calibration_for
from loraleak.auditing.known_leaks import count_found
from loraleak.auditing.levels import REVIEW
from loraleak.auditing.loading import Loaded
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.positive_controls import known_leaks_are_found, leaks_like_these_are_found, nobody_knows
from loraleak.auditing.scene import strength_of, strengthened
from loraleak.auditing.scoring import embed_pictures
from loraleak.auditing.sensitivity import least_that_decides, row_for, table_for
from loraleak.kits import Calibration
from loraleak.reporting.results import PositiveControl
from loraleak.types import Adapter, Sightings

__all__ = ["calibration_of", "forewarning", "measured", "tried"]


def measured(loaded: Loaded, settings: AuditSettings) -> PositiveControl | None:
    """What the base's table says of audits like this one; None where it has no row for them."""
    table = table_for(loaded.kit, loaded.setup, tuple(arm.name for arm in _attacks(loaded)))
    if table is None or settings.known_leaks is not None or settings.others is not None:
        return None
    of_this = {"images": settings.images, "steps": settings.steps, "photos": len(loaded.photos)}
    row = row_for(table, **of_this)
    if row is None:
        return None
    limit = settings.max_miss_rate
    better = least_that_decides(table, steps=settings.steps, photos=len(loaded.photos), max_miss_rate=limit)
    return leaks_like_these_are_found(row, better, **of_this, max_miss_rate=limit)


def forewarning(loaded: Loaded, settings: AuditSettings) -> str:
    """What to say before sampling, where the settings cannot support the level `low`; empty where they can."""
    control = measured(loaded, settings)
    if control is not None:
        return "" if control.passed else f"If nothing is found, this audit stays undecided. {control.remedy}"
    if loaded.known_leaks:
        return (
            f"If nothing is found, {len(loaded.known_leaks)} files with known leaks are audited in the same way, which takes about "
            f"{len(loaded.known_leaks)} times as long again."
        )
    return f"If nothing is found, this audit stays undecided. {nobody_knows().remedy}"


def tried(loaded: Loaded, settings: AuditSettings, others: OtherPeople, *, quiet: bool) -> PositiveControl:
    """The control by the table, or by an audit of every file with a known leak, whose results the cache keeps."""
    control = measured(loaded, settings)
    if control is not None:
        return control
    if not loaded.known_leaks:
        return nobody_knows()
    arms = [*_attacks(loaded), *(arm for arm in loaded.arms if arm.role == "floor")]

    def sampled(adapter: Adapter) -> Mapping[str, Sightings]:
        scene = replace(loaded.scene, adapter=adapter)
        strength = strength_of(scene)
        tried = with_turned(arms) if strength.both else arms
        made = reconstruct(
            strengthened(scene, strength), tried, images=settings.images, seed=settings.seed, steps=settings.steps
        )
        return {name: embed_pictures(loaded.embedder, pictures) for name, pictures in made.items()}

    found = count_found(
        loaded.known_leaks,
        sampled,
        others,
        floor=next(arm.name for arm in loaded.arms if arm.role == "floor"),
        level=REVIEW,
        decided_by=[loaded.setup, [arm.name for arm in arms], settings.images, settings.seed, settings.step],
        quiet=quiet,
    )
    return known_leaks_are_found(
        found,
        len(loaded.known_leaks),
        images=settings.images,
        steps=settings.steps,
        max_miss_rate=settings.max_miss_rate,
    )


def calibration_of(loaded: Loaded, settings: AuditSettings, attacks: Sequence[str]) -> Calibration | None:
    """The calibration of the base, where it holds for this audit; else None."""
    if settings.others is not None:
        return None
    return calibration_for(loaded.kit, loaded.setup, attacks, images=settings.images, photos=len(loaded.photos))


def _attacks(loaded: Loaded) -> list[Arm]:
    return [arm for arm in loaded.arms if arm.role == "attack" and arm.needs <= loaded.scene.offers]
