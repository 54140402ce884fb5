"""A condition that opens the adapter, searched for through the victim's own model and the base alone.

The idea is that of activation keys for LoRA adapters (https://openreview.net/forum?id=Ha1Z42wHqz): words first, then the embedding
of the best by gradient, until the adapted model and the base differ most. No photo, no prompt of the owner, no public adapter and no
start is needed.
"""

import string
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.arms.scene import Arm, Scene
from loraleak.arms.weights import decoded
from loraleak.bases import Denoiser, DiffusersBase, guided, sample
from loraleak.bases.estimate import Estimate, estimate
from loraleak.finetuning.recipe import Recipe
from loraleak.types import ArmRole

__all__ = ["LoraSelfKey", "Probes", "difference", "find_key", "noisy_probes", "rare_prompts"]

_DRAWING_STEPS = 10
_LEAST_NOISE = 0.6
"""Lowest share of the schedule's levels; who is shown is decided where there is more noise than this."""
_RATE = 0.3
"""Learning rate of Adam, as a share of how far a coordinate may go."""


@dataclass(frozen=True)
class LoraSelfKey(Arm):
    """The rare word, and then the condition near it, with which the adapted model and the base differ most."""

    name: str = "lora-self-key"
    role: ArmRole = "attack"
    says: str = "Somebody who tries rare words on your file, and improves the best one: no prompt, no trained attack, no photo."
    control: str | None = "lora-class"
    words: int = 24
    """Tried beside the class prompt as it is."""
    steps: int = 4
    """Steps of gradient; 0 leaves the best prompt as it is."""
    pictures: int = 8
    """Noisy pictures on which every word and every step is tried."""
    reach: float = 0.05
    """How far each token may go from the prompt's, as a share of its length."""

    def search(self, base: DiffusersBase) -> Estimate:
        prompt_layers = [name for name in base.modules if any(part in name for part in base.blocks.prompt)]
        return estimate(base, passes=self.pictures * 2 * (_DRAWING_STEPS + 1 + self.words), batch=2 * self.pictures).then(
            estimate(base, passes=self.pictures * 2 * self.steps, batch=min(base.at_once, self.pictures), trained=prompt_layers)
        )

    def denoiser(self, scene: Scene) -> Denoiser:
        return decoded(scene, find_key(scene, self)[None])


@dataclass(frozen=True)
class Probes:
    """Noisy pictures of nobody, on which the two models are compared."""

    noisy: Float[Tensor, "probes channels h w"]
    timesteps: Num[Tensor, " probes"]

    def split(self, size: int) -> "list[Probes]":
        """Batches of the probes."""
        parts = zip(self.noisy.split(size), self.timesteps.split(size), strict=True)
        return [Probes(noisy, timesteps) for noisy, timesteps in parts]


def find_key(scene: Scene, search: LoraSelfKey) -> Float[Tensor, "tokens dim"]:
    """z for the adapter that is attached; equal seeds of the scene find equal keys."""
    base, seed = scene.base, scene.seed
    generator = torch.Generator().manual_seed(seed)
    latents = _class_latents(scene, search.pictures)
    prompts = [scene.class_prompt, *rare_prompts(scene.class_prompt, search.words, seed=seed)]
    tuned = base.embed(prompts).to(base.like)
    with base.bare():
        plain = base.embed(prompts).to(base.like)
    probes = noisy_probes(base, latents, generator)
    with torch.no_grad():
        opened = [float(difference(base, probes, *pair)) for pair in zip(tuned, plain, strict=True)]
    best = opened.index(max(opened))
    return tuned[best] + _offset(base, latents, tuned[best], plain[best], search, generator)


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


def difference(
    base: DiffusersBase, probes: Probes, tuned: Float[Tensor, "tokens dim"], plain: Float[Tensor, "tokens dim"]
) -> Float[Tensor, ""]:
    """Mean square of what the adapted model with `tuned` and the base with `plain` take for the picture without noise, less the
    other."""
    count = len(probes.noisy)

    def denoised(condition: Tensor) -> Tensor:
        predicted = base.predict(probes.noisy, probes.timesteps, condition.expand(count, -1, -1))
        return base.schedule.denoised(probes.noisy, predicted, probes.timesteps)

    with base.bare():
        before = denoised(plain)
    return (denoised(tuned) - before).square().mean()


def _class_latents(scene: Scene, count: int) -> Float[Tensor, "count channels h w"]:
    """Latents of pictures that the base draws of the class prompt."""
    base = scene.base
    with base.bare():
        condition, empty = base.embed([scene.class_prompt, ""])
        drawn = sample(base, guided(base, condition, empty, scene.guidance_scale), count, seed=scene.seed, steps=_DRAWING_STEPS)
    return base.encode(drawn)


@torch.enable_grad()
def _offset(
    base: DiffusersBase,
    latents: Tensor,
    tuned: Float[Tensor, "tokens dim"],
    plain: Float[Tensor, "tokens dim"],
    search: LoraSelfKey,
    generator: torch.Generator,
) -> Float[Tensor, "tokens dim"]:
    """What is added to a prompt's embedding, by Adam; no token goes further than `reach` of its length.

    Further out the two models differ more, and neither draws a person.
    """
    room = search.reach * tuned.norm(dim=1, keepdim=True)
    offset = torch.zeros_like(tuned).requires_grad_()
    optimiser = torch.optim.Adam([offset], lr=_RATE * float(room.mean()) / tuned.shape[1] ** 0.5, maximize=True)
    for _ in range(search.steps):
        offset.grad = torch.zeros_like(offset)
        for part in noisy_probes(base, latents, generator).split(base.at_once):
            share = len(part.noisy) / len(latents)
            (slope,) = torch.autograd.grad(share * difference(base, part, tuned + offset, plain + offset), offset)
            offset.grad += slope
        optimiser.step()
        with torch.no_grad():
            offset *= (room / offset.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return offset.detach()
