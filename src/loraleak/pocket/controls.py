"""The control adapters that ship with pocket: fine-tuned on public people, kept as embeddings of what every arm makes."""

from pathlib import Path

import numpy as np

from loraleak.arms import ARMS, select_arms
from loraleak.auditing.controls import Controls
from loraleak.auditing.verdict import template
from loraleak.bases import DiffusersBase
from loraleak.bench.cases import CaseSettings, draw_cases, run_cases
from loraleak.embedders import Embedder

__all__ = ["build_controls"]

_SEED = 5


def build_controls(base: DiffusersBase, embedder: Embedder, folder: Path, *, count: int = 99, cohort: int = 200) -> Controls:
    """`count` adapters, then a cohort of other public people. With 99 the smallest p-value is 0.01. Resumes from `folder`."""
    cases = draw_cases("public", count + cohort, seed=_SEED)
    arms = [arm for arm in select_arms(tuple(ARMS)) if arm.role == "attack"]
    settings = CaseSettings()
    results = run_cases(base, embedder, cases[:count], arms, settings, folder)
    others = [settings.private_images(case) for case in cases[count:]]
    return Controls(
        sampling=settings.sampling(base, embedder),
        arms={arm.name: np.stack([result.arms[arm.name] for result in results]) for arm in arms},
        cohort=np.stack([template(embedder.embed(list(images))) for images in others]),
    )
