"""What audits with a kit find, measured on people whom nothing in it has seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.arms import select_arms
from loraleak.auditing import OtherPeople
from loraleak.auditing.levels import HIGH, REVIEW
from loraleak.bases import DiffusersBase
from loraleak.bench import Case, CaseSettings, person_on, run_cases, templates
from loraleak.bench.arms import verdict_on
from loraleak.embedders import Embedder
from loraleak.inversion import WeightAutoencoder
from loraleak.kit_building.controls import attack_arms
from loraleak.kits import Controls, Quality, Row, Table
from loraleak.scores import bootstrap_mean, exact_share, gallery_ranks
from loraleak.types import Embeddings, Interval

__all__ = ["measured"]

_FLOOR = "base-class"
_LEVELS = {"review": REVIEW, "high": HIGH}


def measured(
    base: DiffusersBase,
    embedder: Embedder,
    attack: WeightAutoencoder | None,
    cases: Sequence[Case],
    others: OtherPeople,
    controls: Controls | None,
    settings: CaseSettings,
    folder: Path,
) -> tuple[Quality, Table]:
    """Fine-tune on each case, and audit the adapter with the person's own photos and with those of each other case. A stopped run
    goes on from `folder`. The person is the unit of every interval.
    """
    arms = [*attack_arms(), *select_arms((_FLOOR,))]
    results = run_cases(base, embedder, cases, arms, settings, folder, attack, title="quality: ")
    photos = [person_on(result.private_images, embedder).vectors for result in results]
    made, shown = [result.arms for result in results], [result.sightings for result in results]
    attacks = tuple(name for name in made[0] if name != _FLOOR)

    def p_value(i: int, j: int) -> float:
        return verdict_on(shown[i], photos[j], others, controls, attacks).p_value

    everybody = range(len(cases))
    own = np.array([p_value(i, i) for i in everybody])
    wrong = np.array([[p_value(i, j) for j in everybody if j != i] for i in everybody])
    known = templates(cases, embedder, seed=settings.seed, private=settings.photos)
    gallery = known if controls is None else np.concatenate([known, controls.cohort])
    quality = Quality(
        victims=len(cases),
        wrong_audits=wrong.size,
        found={level: exact_share(int((own <= most).sum()), len(own)) for level, most in _LEVELS.items()},
        false_alarms={level: bootstrap_mean((wrong <= most).mean(axis=1)) for level, most in _LEVELS.items()},
        gallery=len(gallery),
        rank1={name: _rank1([m[name] for m in made], gallery) for name in (*attacks, _FLOOR)},
    )
    row = Row(
        images=settings.images,
        steps=settings.steps,
        photos=settings.photos,
        files=len(own),
        review=int((own <= REVIEW).sum()),
        high=int((own <= HIGH).sum()),
    )
    return quality, Table(settings.setup(base, embedder, attack), attacks, (row,))


def _rank1(made: Sequence[Embeddings], gallery: Float[np.ndarray, "people dim"]) -> Interval:
    return bootstrap_mean(np.array([np.mean(gallery_ranks(vectors, gallery, i) == 0) for i, vectors in enumerate(made)]))
