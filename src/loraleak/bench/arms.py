"""The bench of arms: every arm over many victims, by identification, verification, similarity and verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from loraleak.arms import ARMS, select_arms
from loraleak.auditing import OtherPeople, against_controls, against_other_people, people_of, people_of_kit, verdict_of
from loraleak.bases import load_base
from loraleak.bench.bench_settings import ArmsBench
from loraleak.bench.cases import CaseSettings, bench_cases, person_on, templates
from loraleak.bench.runs import run_cases
from loraleak.embedders import load_embedder
from loraleak.kits import Controls, Kit, attack_for, controls_for, kit_for
from loraleak.reporting import Verdict
from loraleak.scores import accept_threshold, bootstrap_mean, gallery_ranks, mean_cosine, nearest, paired_difference, template
from loraleak.types import Embeddings, Interval, Sightings
from loraleak.untrusted import encodable

__all__ = ["bench_arms", "verdict_on", "victim_scores"]

_EFFECTS = {
    "key": ("lora-mean-z", "lora-class"),
    "learned key": ("lora-universal-z", "lora-class"),
    "reading": ("lora-z", "lora-swapped-z"),
    "reading over the learned key": ("lora-z", "lora-universal-z"),
    "reading beside the learned key": ("lora-z-key", "lora-universal-z"),
    "reading alone": ("base-z", "base-class"),
    "reading over guidance": ("lora-z", "lora-guidance"),
    "reading over the owner's prompt": ("lora-z", "lora-trigger"),
}
"""Differences between arms that separate what opens an adapter from what is read in it; docs/attack.md explains them."""


def bench_arms(settings: ArmsBench, folder: Path) -> dict[str, Any]:
    """Fine-tune on each victim, sample every arm, and score. A stopped bench goes on from `folder`.

    Gallery templates come from looks that no adapter was trained on. The unit of every interval is the victim.
    """
    base = load_base(**settings.choices)
    embedder = load_embedder(settings.embedder)
    kit = kit_for(base, settings.kit)
    cases = bench_cases(settings, embedder, kit, folder, settings.styles)
    gallery = templates(cases, embedder, seed=settings.sampling.seed, private=settings.photos)
    chosen = cases[: settings.victims]
    attack = attack_for(base, settings.attack, kit)
    arms = select_arms(settings.arms or tuple(ARMS))
    how = CaseSettings.of(settings, settings.photos)
    results = run_cases(base, embedder, chosen, arms, how, folder, attack)
    photos = [person_on(result.private_images, embedder).vectors for result in results]
    controls = controls_for(how.setup(base, embedder, attack), kit)
    made = [result.arms for result in results]
    scored = {name: victim_scores([m[name] for m in made], photos, gallery) for name in made[0]}
    beside = {arm.name: arm.control for arm in arms}
    attacks = tuple(arm.name for arm in arms if arm.role == "attack")
    of_same_embedder = kit if kit is not None and kit.sampling.embedder == embedder.name else None
    given = {"people": settings.people, "split": settings.split}
    return {
        "schema": "loraleak.bench-arms/1",
        "victims": settings.victims,
        "gallery": len(cases),
        "base": {"name": settings.base, "sha256": base.sha256},
        "embedder": embedder.name,
        "settings": asdict(settings) | {name: None if path is None else encodable(str(path)) for name, path in given.items()},
        "arms": {
            name: {metric: _plain(bootstrap_mean(values)) for metric, values in metrics.items()}
            | _excess(metrics, scored, beside[name])
            for name, metrics in scored.items()
        },
        "effects": {
            effect: {metric: _plain(paired_difference(scored[one][metric], scored[other][metric])) for metric in scored[one]}
            for effect, (one, other) in _EFFECTS.items()
            if one in scored and other in scored
        },
        "verdict": _verdicts([result.sightings for result in results], photos, attacks, controls, of_same_embedder),
    }


def victim_scores(
    made: Sequence[Float[np.ndarray, "images dim"]],
    photos: Sequence[Float[np.ndarray, "photos dim"]],
    gallery: Float[np.ndarray, "people dim"],
) -> dict[str, Float[np.ndarray, " victims"]]:
    """Scores of one arm, by metric; victim `i` is the person in row `i` of the gallery."""
    ranks = [gallery_ranks(vectors, gallery, victim) for victim, vectors in enumerate(made)]
    to_gallery = np.stack([vectors @ gallery.T for vectors in made])
    genuine = np.stack([to_gallery[victim, :, victim] for victim in range(len(made))])
    impostor = np.concatenate([np.delete(to_gallery[victim], victim, axis=1).ravel() for victim in range(len(made))])
    cosine = np.array([float(mean_cosine(m, p).mean()) for m, p in zip(made, photos, strict=True)])
    return {
        "rank1": np.array([np.mean(r == 0) for r in ranks]),
        "rank5": np.array([np.mean(r < 5) for r in ranks]),
        "tar_at_1_far": (genuine > accept_threshold(impostor)).mean(axis=1),
        "cosine": cosine,
        "paper_scale": 0.5 * cosine + 0.5,
    }


def _excess(
    metrics: Mapping[str, Float[np.ndarray, " victims"]],
    scored: Mapping[str, Mapping[str, Float[np.ndarray, " victims"]]],
    control: str | None,
) -> dict[str, Any]:
    if control is None:
        return {}
    differences = {name: paired_difference(values, scored[control][name]) for name, values in metrics.items()}
    return {"excess": {"over": control, **{name: _plain(value) for name, value in differences.items()}}}


def verdict_on(
    pictures: Mapping[str, Sightings],
    photos: Embeddings,
    others: OtherPeople,
    controls: Controls | None,
    attacks: Sequence[str],
) -> Verdict:
    """The verdict of an audit, without its positive controls, on what the arms made of one adapter."""
    tests = [against_other_people(pictures, photos, others, attacks=attacks, floor="base-class")]
    if controls is not None:
        person = template(photos)
        made = {name: nearest(pictures[name], person) for name in attacks if name in pictures}
        tests.append(against_controls(made, photos, controls, attacks))
    return verdict_of(tests)


def _verdicts(
    made: Sequence[Mapping[str, Sightings]],
    photos: Sequence[Float[np.ndarray, "photos dim"]],
    attacks: tuple[str, ...],
    controls: Controls | None,
    kit: Kit | None,
) -> dict[str, Any]:
    """Verdicts on every victim's adapter, with the victim's own photos and with every other victim's.

    Control adapters of another checkpoint, or otherwise sampled, say nothing; `kit` then gives other people to compare with.
    """
    if controls is not None:
        others = people_of(controls)
    elif kit is not None and kit.people:
        others = people_of_kit(kit)
    else:
        return {"null": "no control adapters and no other people for this base, embedder and way of sampling"}
    everybody = range(len(made))
    pairs = {
        "own_photos": [[i] for i in everybody],
        "other_persons_photos": [[j for j in everybody if j != i] for i in everybody],
    }

    table: dict[str, Any] = {"controls": 0 if controls is None else len(controls), "other_people": len(others)}
    for name, partners in pairs.items():
        verdicts = [
            [verdict_on(made[i], photos[j], others, controls, attacks) for j in mine] for i, mine in enumerate(partners)
        ]
        table[name] = {
            "audits": sum(map(len, verdicts)),
            "high": _plain(_share(verdicts, lambda v: v.level == "high")),
            "flagged": _plain(_share(verdicts, lambda v: v.level in ("review", "high"))),
            "median_p": float(np.median([v.p_value for row in verdicts for v in row])),
        }
    return table


def _share(verdicts: Sequence[Sequence[Verdict]], holds: Callable[[Verdict], bool]) -> Interval:
    """Share of audits whose verdict holds, averaged over each victim's audits first: the victim is the unit."""
    return bootstrap_mean(np.array([np.mean([holds(verdict) for verdict in row]) for row in verdicts]))


def _plain(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
