"""A condition that opens the adapter, searched for through the victim's own model and the base alone.

The idea is that of activation keys for LoRA adapters (https://openreview.net/forum?id=Ha1Z42wHqz): words first, then the embedding
of the best by gradient, until the adapted model and the base differ most. No photo, no prompt of the owner, no public adapter and no
start is needed.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.arms.probes import DRAWING_STEPS, Probes, class_latents, noisy_probes, rare_prompts
from loraleak.arms.scene import Arm, Scene
from loraleak.arms.weights import decoded
from loraleak.bases import Denoiser, DiffusersBase
from loraleak.bases.estimate import Estimate, estimate
from loraleak.types import Adversary, ArmRole

__all__ = ["LoraSelfKey", "difference", "find_key"]

_RATE = 0.3
"""Learning rate of Adam, as a share of how far a coordinate may go."""


@dataclass(frozen=True)
class LoraSelfKey(Arm):
    """The rare word, and then the condition near it, with which the adapted model and the base differ most."""

    name: str = "lora-self-key"
    role: ArmRole = "attack"
    says: str = "Somebody who tries rare words on your file, and improves the best one: no prompt, no trained attack, no photo."
    control: str | None = "lora-class"
    adversary: ClassVar[Adversary] = "base"
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
        return estimate(base, passes=self.pictures * 2 * (DRAWING_STEPS + 1 + self.words), batch=2 * self.pictures).then(
            estimate(base, passes=self.pictures * 2 * self.steps, batch=min(base.at_once, self.pictures), trained=prompt_layers)
        )

    def denoiser(self, scene: Scene) -> Denoiser:
        return decoded(scene, find_key(scene, self)[None])


def find_key(scene: Scene, search: LoraSelfKey) -> Float[Tensor, "tokens dim"]:
    """z for the adapter that is attached; equal seeds of the scene find equal keys."""
    base, seed = scene.base, scene.seed
    generator = torch.Generator().manual_seed(seed)
    latents = class_latents(base, scene.class_prompt, search.pictures, guidance_scale=scene.guidance_scale, seed=seed)
    prompts = [scene.class_prompt, *rare_prompts(scene.class_prompt, search.words, seed=seed)]
    tuned = base.embed(prompts).to(base.like)
    with base.bare():
        plain = base.embed(prompts).to(base.like)
    probes = noisy_probes(base, latents, generator)
    with torch.no_grad():
        opened = [float(difference(base, probes, *pair)) for pair in zip(tuned, plain, strict=True)]
    best = opened.index(max(opened))
    return tuned[best] + _offset(base, latents, tuned[best], plain[best], search, generator)


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
