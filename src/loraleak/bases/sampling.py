"""One sampler for all arms: the base's own schedule, the same initial noise, a denoiser that the arm supplies."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.types import Images

__all__ = ["Denoiser", "Timestep", "guided", "sample", "sampled_at_once"]

Timestep = int | float
"""Timestep of a schedule: a whole number for diffusion, a real one for flow matching."""

Denoiser = Callable[[Float[Tensor, "batch channels h w"], Timestep], Float[Tensor, "batch channels h w"]]
"""Function of noisy latents and a timestep: what the base predicts there, noise or a velocity. Guidance is linear in either."""


def sampled_at_once(base: DiffusersBase) -> int:
    """Number of pictures to sample in one batch, where many are wanted."""
    return 32 if base.resolution <= 128 else 4


@torch.no_grad()
def sample(base: DiffusersBase, denoiser: Denoiser, count: int, *, seed: int, steps: int = 20) -> Images:
    """`count` pictures by the sampler of the base's schedule; equal seeds start from equal noise, whatever the denoiser."""
    sampler = base.schedule.sampler(steps)
    latents = torch.randn((count, *base.latent_shape), generator=torch.Generator().manual_seed(seed)).to(base.device)
    for timestep in sampler.timesteps:
        prediction = denoiser(latents, timestep.item())
        latents = sampler.step(prediction, timestep, latents).prev_sample
    return base.decode(latents)


def guided(
    base: DiffusersBase, condition: Float[Tensor, "*batch tokens dim"], empty: Float[Tensor, "tokens dim"], scale: float
) -> Denoiser:
    """Classifier-free guidance (Ho and Salimans 2022): `eps(empty) + scale (eps(condition) - eps(empty))`, in one batch. A
    distilled base gives that in one pass.

    `condition` is one for all pictures, or one for each.
    """

    def denoiser(latents: Tensor, timestep: Timestep) -> Tensor:
        count = len(latents)
        if scale == 1 or base.distilled:
            return base.predict(latents, _times(timestep, latents), condition.expand(count, -1, -1), scale)
        both = torch.cat([empty.expand(count, -1, -1), condition.expand(count, -1, -1)])
        predicted = base.predict(latents.repeat(2, 1, 1, 1), _times(timestep, both), both)
        without, with_condition = predicted.chunk(2)
        return base.guide(without, with_condition, scale)

    return denoiser


def _times(timestep: Timestep, like: Tensor) -> Tensor:
    return torch.full((len(like),), timestep, device=like.device)
