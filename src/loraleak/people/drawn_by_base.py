"""People who do not exist: a base draws each of them several times, from their description."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from loraleak.bases import DiffusersBase, guided, sample, sampled_at_once
from loraleak.bases.estimate import Estimate, estimate
from loraleak.people.descriptions import Described
from loraleak.types import Images

__all__ = ["drawn_by", "estimate_of_drawing"]


def drawn_by(
    base: DiffusersBase, people: Sequence[Described], *, steps: int, guidance_scale: float, seed: int
) -> Iterator[tuple[str, Images]]:
    """Each person's name and pictures, one a prompt."""
    rng, size = np.random.default_rng([seed, 2]), sampled_at_once(base)
    for person in people:
        batches = []
        for start in range(0, len(person.prompts), size):
            *conditions, empty = base.embed([*person.prompts[start : start + size], ""])
            denoiser = guided(base, torch.stack(conditions), empty, guidance_scale)
            batches.append(sample(base, denoiser, len(conditions), seed=int(rng.integers(2**62)), steps=steps))
        yield person.name, np.concatenate(batches)


def estimate_of_drawing(base: DiffusersBase, people: Sequence[Described], *, steps: int) -> Estimate:
    """Time and memory that `drawn_by` takes."""
    passes = 1 if base.distilled else 2
    prompts = [len(person.prompts) for person in people]
    return estimate(base, passes=passes * sum(prompts) * steps, batch=passes * min(sampled_at_once(base), max(prompts)))
