"""The main job: an adapter file and its owner's photos in, a report out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from time import perf_counter

from loraleak.adapters import header_findings, tensor_findings
from loraleak.arms import Arm, Strength, reconstruct, with_turned
from loraleak.auditing.audit_settings import MIN_OTHERS, AuditSettings
from loraleak.auditing.bystanders import seen_of_bystanders
from loraleak.auditing.defences import study_defences
from loraleak.auditing.leaks import answer, estimates
from loraleak.auditing.loading import Loaded, check, estimate_of, load, unused_controls
from loraleak.auditing.looking import Stopped, deciding_first
from loraleak.auditing.nulls.drawn import draw_people
from loraleak.auditing.nulls.looks import Looks
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.nulls.sources import people_drawn
from loraleak.auditing.remarks import advice, knowledge, limits
from loraleak.auditing.scene import strength_of, strengthened
from loraleak.auditing.scoring import Scored, embed, embed_beside, recognise, score
from loraleak.auditing.track_record import calibration_of, forewarning, tried
from loraleak.auditing.verdict import judge
from loraleak.bases.estimate import Estimate
from loraleak.leaks import known_leaks
from loraleak.progress import announce
from loraleak.reporting import Answer, Bystander, DefenceStudy, Photo, Report, Verdict
from loraleak.scores import template
from loraleak.types import Images
from loraleak.untrusted import encodable, printable
from loraleak.version import __version__

__all__ = ["audit"]


def audit(
    adapter: str | Path,
    photos: str | Path,
    settings: AuditSettings | None = None,
    *,
    quiet: bool = True,
    seen_by: Callable[[Arm, Images], object] | None = None,
) -> Report:
    """Load, check, sample, embed, score, judge, report. Unless `quiet`, an estimate and the progress go to stderr.

    `seen_by` gets the pictures of each arm as soon as they are made.
    Raises: LoraleakError, if the file, the photos, the base or the embedder cannot be used.
    """
    settings = settings or AuditSettings()
    marks = {"start": perf_counter()}
    loaded = load(adapter, photos, settings)
    check(loaded, settings)
    settings = replace(settings, embedder=loaded.choice.name)
    if not quiet:
        before = (loaded.choice.why, *loaded.doubts, unused_controls(loaded))
        for line in (
            *before,
            reduce(Estimate.then, estimates(loaded), estimate_of(loaded, settings)).says,
            forewarning(loaded, settings),
        ):
            if line:
                announce(line)
    marks["load"] = perf_counter()
    others = _other_people(loaded, settings, quiet=quiet)
    strength = strength_of(loaded.scene)
    scene = strengthened(loaded.scene, strength)
    arms = with_turned(loaded.arms) if strength.both else loaded.arms
    if strength.says and not quiet:
        announce(strength.says)
    looks = _looks(loaded, arms, others) if settings.until_decided else None
    made = reconstruct(
        scene,
        arms if looks is None else deciding_first(arms),
        images=settings.images,
        seed=settings.seed,
        steps=settings.steps,
        quiet=quiet,
        seen_by=seen_by,
        enough=None if looks is None else looks.enough,
    )
    marks["sample"] = perf_counter()
    embedded = embed(loaded.embedder, loaded.shown.person.vectors, made)
    scored = recognise(score(arms, made, embedded), embedded, others.photos)
    verdict = judge(
        embedded,
        scored,
        tuple(photo.name for photo in loaded.photos),
        others,
        loaded.controls,
        partial(tried, loaded, settings, others, quiet=quiet),
        calibration_of(loaded, settings, scored.attacks),
        looks,
    )
    bystanders = seen_of_bystanders(loaded.shown.bystanders, loaded.folder, embedded, scored, others)
    marks["score"] = perf_counter()
    answers = tuple(answer(leak(), loaded) for leak in known_leaks().values())
    marks["leaks"] = perf_counter()
    study = None
    if settings.defences:
        study = study_defences(
            scene,
            embedded.photos,
            partial(embed_beside, loaded.embedder, template(embedded.photos)),
            tuple(arm.name for arm in loaded.arms if arm.name in scored.attacks),
            images=settings.images,
            steps=settings.steps,
        )
        marks["defences"] = perf_counter()
    stopped_after = len(scored.attacks) if looks is not None and looks.stopped else 0
    return _report(
        loaded, strength, settings, scored, bystanders, answers, verdict, study, len(others), _timings(marks), stopped_after
    )


def _looks(loaded: Loaded, arms: Sequence[Arm], others: OtherPeople) -> Stopped:
    photos, tests = loaded.shown.person.vectors, 1 if loaded.controls is None else 2
    floor = next(arm.name for arm in arms if arm.role == "floor")
    attacks = [arm.name for arm in deciding_first(arms) if arm.role == "attack"]
    return Stopped(Looks(photos, others), loaded.embedder, attacks, floor, tests)


def _other_people(loaded: Loaded, settings: AuditSettings, *, quiet: bool) -> OtherPeople:
    if loaded.others is not None:
        return loaded.others
    others = people_drawn(draw_people(loaded.scene.base, **settings.drawing, quiet=quiet), loaded.embedder)
    if not quiet and len(others) < MIN_OTHERS:
        announce(
            f"The embedder finds a person on {len(others)} of {settings.others_count} pictures that the base draws, and with fewer "
            f"than {MIN_OTHERS} this audit can find nothing: give photos of other people with --others."
        )
    return others


def _report(
    loaded: Loaded,
    strength: Strength,
    settings: AuditSettings,
    scored: Scored,
    bystanders: tuple[Bystander, ...],
    answers: tuple[Answer, ...],
    verdict: Verdict,
    study: DefenceStudy | None,
    others: int,
    timings: dict[str, float],
    stopped_after: int,
) -> Report:
    adapter, base = loaded.scene.adapter, loaded.scene.base
    reads_weights = loaded.scene.attack is not None
    return Report(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=__version__,
        seed=settings.seed,
        base=settings.base,
        base_sha256=base.sha256,
        adapter_path=encodable(loaded.adapter_path.name),
        adapter_sha256=adapter.sha256,
        adapter_format=adapter.format,
        ranks=adapter.ranks,
        modules=len(adapter.factors),
        strength=strength.factor,
        photos=tuple(
            Photo(file.name, file.sha256, float(near), file.picture)
            for file, near in zip(loaded.photos, scored.exposure, strict=True)
        ),
        verdict=verdict,
        arms=scored.arms,
        metadata=(*header_findings(adapter.metadata), *tensor_findings(adapter.residue)),
        knowledge=knowledge(settings, strength, reads_weights=reads_weights),
        advice=advice(
            verdict,
            adapter,
            study,
            base=settings.base,
            most_exposed=printable(loaded.photos[int(scored.exposure.argmax())].name, 60),
        ),
        limits=limits(
            adapter,
            settings,
            loaded.doubts,
            reads_weights=reads_weights,
            foreign_kit=_foreign(loaded),
            stopped_after=stopped_after,
        ),
        settings={
            **_plain(settings),
            "embedder_version": loaded.embedder.name,
            "adapter_sha256": adapter.sha256,
            "attack_sha256": loaded.scene.attack_sha256,
            "kit_sha256": "" if loaded.kit is None else loaded.kit.sha256,
        },
        timings_s=timings,
        others=others,
        bystanders=bystanders,
        answers=answers,
        defences=study,
    )


def _foreign(loaded: Loaded) -> str:
    """Name of the base of a kit that was made for another checkpoint; empty where there is no such kit."""
    kit = loaded.kit
    return "" if kit is None or kit.is_for(loaded.scene.base) else printable(kit.card.base)


def _timings(marks: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each stage, from the times at which the stages ended."""
    names, times = list(marks), list(marks.values())
    stages = {name: round(times[i + 1] - times[i], 3) for i, name in enumerate(names[1:])}
    return {**stages, "total": round(times[-1] - times[0], 3)}


def _plain(settings: AuditSettings) -> dict[str, object]:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings).items()}
    paths = {
        name: None if plain[name] is None else encodable(str(plain[name]))
        for name in ("others", "held_out", "known_leaks", "kit")
    }
    return plain | paths
