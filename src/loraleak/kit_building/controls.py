"""Control adapters and other people, as embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loraleak.arms import ARMS, Arm, select_arms
from loraleak.bases import DiffusersBase
from loraleak.bench import Case, CaseSettings, run_cases
from loraleak.embedders import Embedder
from loraleak.inversion import WeightAutoencoder
from loraleak.kits import Controls
from loraleak.scores import template
from loraleak.types import Embeddings, Sightings

__all__ = ["attack_arms", "control_embeddings"]


def attack_arms() -> list[Arm]:
    """The attack arms that an audit with a kit samples."""
    return [arm for arm in select_arms(tuple(ARMS)) if arm.role == "attack"]


def control_embeddings(
    base: DiffusersBase,
    embedder: Embedder,
    attack: WeightAutoencoder | None,
    cases: Sequence[Case],
    others: Sequence[Embeddings],
    settings: CaseSettings,
    folder: Path,
) -> Controls:
    """Fine-tune on each case, and embed what every attack arm makes of the adapter. A stopped run goes on from `folder`.

    `others` are embedded photos of other people, one entry a person; none of them is a case.
    """
    arms = attack_arms()
    names = {arm.name for arm in arms}
    results = run_cases(base, embedder, cases, arms, settings, folder, attack, title="controls: ")
    return Controls(
        sampling=settings.setup(base, embedder, attack),
        arms={
            name: Sightings.joined([result.sightings[name] for result in results])
            for name in results[0].sightings
            if name in names
        },
        images=settings.images,
        cohort=np.stack([template(photos[: settings.photos]) for photos in others]),
        people=tuple(others),
    )
