"""Probes of an adapter: pictures of nobody under noise, and rare words. They need no photo and no prompt of the owner."""

import string
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases import DiffusersBase, guided, sample
from loraleak.finetuning.recipe import Recipe

__all__ = ["DRAWING_STEPS", "Probes", "class_latents", "noisy_probes", "rare_prompts"]

DRAWING_STEPS = 10
"""Sampler steps of `class_latents`."""
_LEAST_NOISE = 0.6
"""Lowest share of the schedule's levels; who is shown is decided where there is more noise than this."""


@dataclass(frozen=True)
class Probes:
    """Noisy pictures of nobody, on which the two models are compared."""

    noisy: Float[Tensor, "probes channels h w"]
    timesteps: Num[Tensor, " probes"]

    def split(self, size: int) -> "list[Probes]":
        """Batches of the probes."""
        parts = zip(self.noisy.split(size), self.timesteps.split(size), strict=True)
        return [Probes(noisy, timesteps) for noisy, timesteps in parts]


def rare_prompts(class_prompt: str, count: int, *, seed: int) -> list[str]:
    """The class prompt with a random word of four letters before its noun, where owners put a trigger."""
    rng = np.random.default_rng([seed, 5])
    words = ["".join(rng.choice(list(string.ascii_lowercase), 4)) for _ in range(count)]
    return [Recipe(trigger=word, class_prompt=class_prompt).prompt for word in words]


def noisy_probes(base: DiffusersBase, latents: Float[Tensor, "probes channels h w"], generator: torch.Generator) -> Probes:
    """These latents under new noise, at levels that are spread evenly over the noisy part of the schedule."""
    count = len(latents)
    share = _LEAST_NOISE + (1 - _LEAST_NOISE) * (torch.arange(count) + torch.rand(count, generator=generator)) / count
    timesteps = base.timesteps[(share * base.noise_levels).long()].to(base.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    return Probes(base.add_noise(latents, noise, timesteps), timesteps)


def class_latents(
    base: DiffusersBase, class_prompt: str, count: int, *, guidance_scale: float, seed: int
) -> Float[Tensor, "count channels h w"]:
    """Latents of pictures that the base draws of the class prompt, without an adapter that is attached."""
    with base.bare():
        condition, empty = base.embed([class_prompt, ""])
        drawn = sample(base, guided(base, condition, empty, guidance_scale), count, seed=seed, steps=DRAWING_STEPS)
    return base.encode(drawn)
