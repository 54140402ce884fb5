"""Learning while fine-tuning, as published: one encoder update after every step of public people's LoRA."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
import torch

from loraleak.bases import DiffusersBase
from loraleak.finetuning import Job, Recipe, Snapshot, finetune_together
from loraleak.inversion.learning import Source, TrainingRun
from loraleak.inversion.public import Examples, PublicPeople
from loraleak.inversion.train_settings import TrainSettings
from loraleak.inversion.weights import shown, stack_adapters

__all__ = ["PublicRun", "examples_of", "fine_tuned", "runs_of"]


@dataclass(frozen=True)
class PublicRun:
    """One public person's fine-tuning, as the zoo did it."""

    person: int
    recipe: Recipe


def fine_tuned(training: TrainingRun, together: int) -> Source:
    """Examples from people's fine-tuning itself, one after each step of their LoRA (Yao 2024, Algorithm 2).

    The people and their recipes are the zoo's, each trained on all of their images. People who are held out there are held out
    here. `together` people are fine-tuned side by side, which makes one batch of examples; 1 is the published way. The first
    person follows the last. An interrupted training repeats the fine-tuning that it was in.
    """
    runs = runs_of(training.public, training.rows)
    examples: Iterator[Examples] | None = None

    def source(step: int) -> Examples:
        nonlocal examples
        if examples is None:
            examples = _endless(training.base, training.public, runs, training.settings, together, skip=step)
        return next(examples)

    return source


def _endless(
    base: DiffusersBase,
    public: PublicPeople,
    runs: Sequence[PublicRun],
    settings: TrainSettings,
    together: int,
    *,
    skip: int,
) -> Iterator[Examples]:
    kinds = {batch: [run for run in runs if run.recipe.prior_batch == batch] for batch in {r.recipe.prior_batch for r in runs}}
    groups = [mine[i : i + together] for mine in kinds.values() for i in range(0, len(mine), together)]
    np.random.default_rng([settings.seed, 6]).shuffle(groups)
    for group in cycle(groups):
        fewest = min(run.recipe.steps for run in group)
        if skip >= fewest:
            skip -= fewest
            continue
        jobs = [
            Job(
                public.people[run.person].everything(),
                replace(run.recipe, steps=fewest),
                range(1, fewest),
            )
            for run in group
        ]
        waiting: list[Snapshot] = []
        for snapshot in finetune_together(base, jobs, quiet=True):
            waiting.append(snapshot)
            if len(waiting) == len(group):
                if snapshot.step > skip:
                    yield examples_of(public, group, waiting, settings)
                waiting = []
        skip = 0


def examples_of(
    public: PublicPeople, group: Sequence[PublicRun], snapshots: Sequence[Snapshot], settings: TrainSettings
) -> Examples:
    """Examples of snapshots, whose `job` counts the group's people."""
    weights = stack_adapters([s.adapter for s in snapshots], public.shapes)
    starts = [group[s.job].recipe.start for s in snapshots]
    return Examples(
        weights,
        shown(weights, settings.knowledge, starts),
        torch.tensor([s.step for s in snapshots]),
        torch.tensor([group[s.job].person for s in snapshots]),
    )


def runs_of(public: PublicPeople, rows: Sequence[np.ndarray]) -> list[PublicRun]:
    """The people of these rows, by zoo, each with the recipe that the zoo gave."""
    runs: dict[int, PublicRun] = {}
    for zoo, mine in enumerate(rows):
        recipes = public.zoos[zoo].manifest["recipe"].to_pylist()
        for row in mine:
            person = int(public.person_of[zoo][row])
            runs.setdefault(person, PublicRun(person, Recipe(**json.loads(recipes[row]))))
    return list(runs.values())
