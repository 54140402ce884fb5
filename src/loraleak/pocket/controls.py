"""The control adapters that ship with pocket, of people whom nothing else has seen, as embeddings of what every arm makes."""

from pathlib import Path

import numpy as np

from loraleak.arms import ARMS, select_arms
from loraleak.auditing import Controls
from loraleak.bases import DiffusersBase
from loraleak.bench import CaseSettings, draw_cases, person_on, pictures, run_cases
from loraleak.embedders import Embedder
from loraleak.inversion import WeightAutoencoder
from loraleak.scores import template

__all__ = ["CONTROLS_SEED", "build_controls"]

CONTROLS_SEED = 5
"""Seed of the people of the controls, and of the cohort."""
_PHOTOS = 8
"""Photos of each other person. An owner with more photos is compared with these."""


def build_controls(
    base: DiffusersBase,
    embedder: Embedder,
    attack: WeightAutoencoder | None,
    folder: Path,
    *,
    count: int = 99,
    cohort: int = 200,
) -> Controls:
    """Make `count` adapters, then a cohort of other people; a stopped build goes on. 99 adapters give a smallest p of 0.01."""
    cases = draw_cases("controls", count + cohort, seed=CONTROLS_SEED)
    arms = [arm for arm in select_arms(tuple(ARMS)) if arm.role == "attack"]
    names = {arm.name for arm in arms}
    settings = CaseSettings()
    results = run_cases(base, embedder, cases[:count], arms, settings, folder, attack)
    people = [
        person_on(pictures(case.person, _PHOTOS, seed=(settings.seed, case.index, 0)), embedder).vectors
        for case in cases[count:]
    ]
    return Controls(
        sampling=settings.setup(base, embedder, attack),
        arms={name: np.stack([result.arms[name] for result in results]) for name in results[0].arms if name in names},
        cohort=np.stack([template(photos[: settings.photos]) for photos in people]),
        people=np.stack(people),
    )
