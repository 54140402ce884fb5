"""The control adapters that ship with pocket: fine-tuned on public people, kept as embeddings of what every arm makes."""

from pathlib import Path

import numpy as np

from loraleak.arms import ARMS, select_arms
from loraleak.auditing.controls import Controls
from loraleak.auditing.verdict import template
from loraleak.bases import DiffusersBase
from loraleak.bench.cases import CaseSettings, draw_cases, pictures, run_cases
from loraleak.embedders import Embedder

__all__ = ["build_controls"]

_SEED = 5


def build_controls(base: DiffusersBase, embedder: Embedder, folder: Path, *, count: int = 99, cohort: int = 200) -> Controls:
    """`count` adapters, then a cohort of other public people. With 99 the smallest p-value is 0.01. Resumes from `folder`."""
    cases = draw_cases("public", count + cohort, seed=_SEED)
    arms = [arm for arm in select_arms(tuple(ARMS)) if arm.role == "attack"]
    settings = CaseSettings()
    results = [vectors for _, vectors in run_cases(base, embedder, cases[:count], arms, settings, folder)]
    others = [pictures(c.person, settings.photos, seed=(settings.seed, c.index, 0)) for c in cases[count:]]
    return Controls(
        base_sha256=base.sha256,
        embedder=embedder.name,
        arms={name: np.stack([vectors[name] for vectors in results]) for name in results[0]},
        cohort=np.stack([template(embedder.embed(list(images))) for images in others]),
    )
