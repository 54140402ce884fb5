"""The published training, to the letter: Algorithm 2 of Yao 2024, as the authors' public code has it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.finetuning import Job, Trainer, finetune_together
from loraleak.inversion.learning import Decoded, Source, TrainingRun
from loraleak.inversion.online import PublicRun, examples_of, runs_of
from loraleak.inversion.public import Examples
from loraleak.inversion.train_settings import Algorithm2

__all__ = ["algorithm2_source"]


def algorithm2_source(training: TrainingRun, settings: Algorithm2) -> Source:
    """An example after every step of a person's fine-tuning, which has a fresh seed and a uniform number of steps each time.

    An interrupted training repeats the fine-tuning that it was in. With the slip, that repetition lacks what the encoder's loss
    had changed in the adapter.
    """
    runs = runs_of(training.public, training.rows)
    examples: Iterator[Examples] | None = None

    def source(step: int) -> Examples:
        nonlocal examples
        if examples is None:
            examples = _visits(training, runs, settings, skip=step)
        return next(examples)

    return source


def _visits(training: TrainingRun, runs: Sequence[PublicRun], settings: Algorithm2, *, skip: int) -> Iterator[Examples]:
    public, visit = training.public, 0
    while True:
        rng = np.random.default_rng([training.settings.seed, 7, visit])
        visit += 1
        run, steps = runs[int(rng.integers(len(runs)))], int(rng.integers(1, settings.longest_run, endpoint=True))
        if skip >= steps:
            skip -= steps
            continue
        recipe = replace(run.recipe, steps=steps, seed=int(rng.integers(2**62)))
        photos = public.people[run.person].everything()
        made: list[_Slipping] = []

        def trainer(base: DiffusersBase, jobs: Sequence[Job], made: list["_Slipping"] = made) -> Trainer:
            made.append(_Slipping(base, jobs))
            return made[0]

        for snapshot in finetune_together(
            training.base, [Job(photos, recipe, range(1, steps))], quiet=True, trainer=trainer if settings.slip else Trainer
        ):
            if snapshot.step > skip:
                yield examples_of(public, [replace(run, recipe=recipe)], [snapshot], training.settings)
                for slipping in made:
                    slipping.left = training.decoded
        skip = 0


class _Slipping(Trainer):
    """Fine-tuning whose steps also follow the gradient that the encoder's last loss left in the adapter."""

    left: Decoded | None = None

    def losses(self, step: int) -> Float[Tensor, " adapters"]:
        losses = super().losses(step)
        if self.left is None:
            return losses
        latents, noise, timesteps = (
            part.to(losses.device) for part in (self.left.latents, self.left.noise, self.left.timesteps)
        )
        states = self.left.z.to(losses.device)[:, None].expand(-1, latents.shape[1], -1, -1)
        plain = torch.zeros(len(latents), dtype=torch.bool, device=losses.device)
        return losses + self.errors(latents, noise, timesteps, states, plain).mean(1)
