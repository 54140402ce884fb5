"""The main job: an adapter file and its owner's photos in, a report out."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from loraleak.adapters import header_findings, load_adapter, tensor_findings
from loraleak.arms import ARMS, Arm, forecast, reconstruct, select_arms
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.controls import Controls, SamplingSetup, load_controls
from loraleak.auditing.defences import check_reach, study_defences
from loraleak.auditing.scene import scene_of
from loraleak.auditing.verdict import template, verdict_against_base, verdict_against_controls
from loraleak.bases import load_base
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.inversion.weight_autoencoder import WeightAutoencoder
from loraleak.people.folders import read_photos
from loraleak.progress import announce
from loraleak.reporting.results import ArmResult, DefenceStudy, Photo, Report, Verdict
from loraleak.scores import bootstrap_mean, exposure, paired_difference
from loraleak.types import Adapter, Embeddings, Images, Picture
from loraleak.untrusted import encodable

__all__ = ["audit"]


def audit(adapter: str | Path, photos: str | Path, settings: AuditSettings | None = None, *, quiet: bool = True) -> Report:
    """Sample every arm, compare with the photos, and judge. Unless `quiet`, an estimate and the progress go to stderr.

    Raises: LoraleakError, if the file, the photos, the base or the embedder cannot be used.
    """
    settings = settings or AuditSettings()
    start = time.perf_counter()
    loaded = load_adapter(adapter)
    if settings.defences:
        check_reach(loaded)
    photo_files = read_photos(photos)
    base = load_base(**settings.choices)
    embedder = load_embedder(settings.embedder)
    arms = select_arms(settings.arms or tuple(ARMS))
    if all(arm.role != "attack" for arm in arms):
        raise UsageError(
            f"{', '.join(settings.arms)}: no attack is among these arms, so there is nothing to judge; add lora-class"
        )
    scene = scene_of(loaded, base, settings)
    photo_vectors = _embedded(embedder, [photo.picture for photo in photo_files])
    ready = time.perf_counter()
    if not quiet:
        announce(forecast(scene, arms, images=settings.images, steps=settings.steps).says)
    made = reconstruct(scene, arms, images=settings.images, seed=settings.seed, steps=settings.steps, quiet=quiet)
    sampled = time.perf_counter()
    vectors = {name: _embedded(embedder, images) for name, images in made.items()}
    results = tuple(_result(arm, made[arm.name], vectors, photo_vectors) for arm in arms if arm.name in made)
    nearest = exposure(np.concatenate([vectors[r.name] for r in results if r.role == "attack"]), photo_vectors)
    sampling = SamplingSetup(
        base.sha256,
        embedder.name,
        settings.class_prompt,
        settings.steps,
        settings.guidance_scale,
        "" if scene.attack is None else scene.attack.sha256,
    )
    verdict = _judge(vectors, photo_vectors, results, load_controls(sampling))
    judged = time.perf_counter()
    study = None
    if settings.defences:

        def embed(images: Images) -> Embeddings:
            return _embedded(embedder, images)

        attacks = [r.name for r in results if r.role == "attack"]
        study = study_defences(scene, photo_vectors, embed, attacks, images=settings.images, steps=settings.steps)
    end = time.perf_counter()
    return Report(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=version("loraleak"),
        seed=settings.seed,
        base=settings.base,
        base_sha256=base.sha256,
        adapter_path=encodable(Path(adapter).name),
        adapter_sha256=loaded.sha256,
        adapter_format=loaded.format,
        ranks=loaded.ranks,
        modules=len(loaded.factors),
        photos=tuple(
            Photo(file.name, file.sha256, float(near), file.picture) for file, near in zip(photo_files, nearest, strict=True)
        ),
        verdict=verdict,
        arms=results,
        metadata=(*header_findings(loaded.metadata), *tensor_findings(loaded.residue)),
        knowledge=_knowledge(settings, scene.attack),
        advice=_advice(verdict, loaded, study),
        limits=_limits(loaded, settings, scene.attack),
        settings={
            **_plain(settings),
            "embedder_version": embedder.name,
            "adapter_sha256": loaded.sha256,
            "attack_sha256": sampling.attack_sha256,
        },
        timings_s={
            "load": round(ready - start, 3),
            "sample": round(sampled - ready, 3),
            "score": round(judged - sampled, 3),
            **({} if study is None else {"defences": round(end - judged, 3)}),
            "total": round(end - start, 3),
        },
        defences=study,
    )


def _embedded(embedder: Embedder, pictures: Sequence[Picture] | Images) -> Embeddings:
    vectors = embedder.embed(list(pictures))
    if not np.isfinite(vectors).all():
        raise UsageError(f"embedder {embedder.name} gave vectors that are no numbers: its weights are damaged, load it anew")
    return vectors


def _result(arm: Arm, images: Images, vectors: Mapping[str, Embeddings], photos: Embeddings) -> ArmResult:
    similarity = vectors[arm.name] @ photos.T
    each = similarity.mean(axis=1)
    excess = None
    if arm.control is not None:
        excess = paired_difference(each, (vectors[arm.control] @ photos.T).mean(axis=1))
    return ArmResult(
        name=arm.name,
        role=arm.role,
        says=arm.says,
        images=images,
        similarity=bootstrap_mean(each),
        excess=excess,
        over=arm.control,
        nearest=tuple(int(i) for i in similarity.argmax(axis=1)),
        nearest_similarity=tuple(float(s) for s in similarity.max(axis=1)),
    )


def _judge(
    vectors: Mapping[str, Embeddings],
    photos: Embeddings,
    results: tuple[ArmResult, ...],
    controls: Controls | None,
) -> Verdict:
    attacks = tuple(r.name for r in results if r.role == "attack")
    if controls is not None and template(photos).shape == controls.cohort.shape[1:]:
        return verdict_against_controls(vectors, photos, controls, attacks)
    return verdict_against_base(vectors, photos, attacks, floor=next(r.name for r in results if r.role == "floor"))


def _knowledge(settings: AuditSettings, attack: WeightAutoencoder | None) -> tuple[str, ...]:
    known = [
        "The adapter file, as you would publish it.",
        f"The public base model, {settings.base}.",
        f"The ordinary class prompt, “{settings.class_prompt}”; no trigger word and none of your photos.",
    ]
    if attack is not None:
        known.append("An attack that learned to read adapters of other people, of the attacker's own making.")
    return tuple(known)


def _advice(verdict: Verdict, adapter: Adapter, study: DefenceStudy | None) -> tuple[str, ...]:
    advice: list[str] = []
    if verdict.level == "high":
        advice.append("Do not publish this file as it is: strangers can make pictures of the person from it.")
    elif verdict.level == "review":
        advice.append("Look at the pictures above before you publish: would a friend recognise the person?")
    else:
        advice.append("These attacks found nothing. That is no proof of safety: there may be stronger ones.")
    if study is not None and study.recommended is not None:
        advice.append(f"Apply {study.tried[study.recommended].defence}, as shown above, and audit what it makes.")
    advice.append("Fine-tuning with fewer steps, a lower rank and more class images leaves less of the person in the file.")
    if header_findings(adapter.metadata):
        advice.append("Remove the file's header fields listed above before you share it: `loraleak scrub` does.")
    return tuple(advice)


def _limits(adapter: Adapter, settings: AuditSettings, attack: WeightAutoencoder | None) -> tuple[str, ...]:
    limits = [
        f"Similarity is what the embedder “{settings.embedder}” sees; people may judge otherwise.",
        f"{settings.images} pictures an arm: intervals are over pictures of this one adapter.",
    ]
    if attack is None:
        limits.append(
            "Only attacks that need no training on other people's adapters were run; attacks that read the weights may find more."
        )
    if not adapter.scale_known:
        limits.append("The file does not say its scale (alpha); it was applied with a scale of 1.")
    if adapter.residue:
        limits.append(f"{len(adapter.residue)} tensors of the file were not understood and not applied.")
    return tuple(limits)


def _plain(settings: AuditSettings) -> dict[str, object]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(settings).items()}
