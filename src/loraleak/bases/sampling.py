"""One sampler for all arms: the base's own schedule, the same initial noise, a denoiser that the arm supplies."""

from collections.abc import Callable

import torch
from diffusers import DPMSolverMultistepScheduler
from jaxtyping import Float
from torch import Tensor

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.types import Images

__all__ = ["Denoiser", "guided", "sample"]

Denoiser = Callable[[Float[Tensor, "batch channels h w"], int], Float[Tensor, "batch channels h w"]]
"""`eps(x_t, t)`: noisy latents and a timestep to predicted noise."""


@torch.no_grad()
def sample(base: DiffusersBase, denoiser: Denoiser, count: int, *, seed: int, steps: int = 20) -> Images:
    """`count` pictures by DPM-Solver++(2M) (Lu et al. 2022); equal seeds start from equal noise, whatever the denoiser."""
    scheduler = DPMSolverMultistepScheduler.from_config(
        base.scheduler.config,
        prediction_type="epsilon",
        algorithm_type="dpmsolver++",
        solver_order=2,
    )
    scheduler.set_timesteps(steps)
    latents = torch.randn((count, *base.latent_shape), generator=torch.Generator().manual_seed(seed)).to(base.device)
    latents = latents * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        noise = denoiser(scheduler.scale_model_input(latents, timestep), int(timestep))
        latents = scheduler.step(noise, timestep, latents).prev_sample
    return base.decode(latents)


def guided(
    base: DiffusersBase, condition: Float[Tensor, "*batch tokens dim"], empty: Float[Tensor, "tokens dim"], scale: float
) -> Denoiser:
    """Classifier-free guidance (Ho and Salimans 2022): `eps(empty) + scale (eps(condition) - eps(empty))`, in one batch.

    One condition for all pictures, or one for each.
    """

    def denoiser(latents: Tensor, timestep: int) -> Tensor:
        count = len(latents)
        if scale == 1:
            return base.predict_noise(latents, _times(timestep, latents), condition.expand(count, -1, -1))
        both = torch.cat([empty.expand(count, -1, -1), condition.expand(count, -1, -1)])
        noise = base.predict_noise(latents.repeat(2, 1, 1, 1), _times(timestep, both), both)
        without, with_condition = noise.chunk(2)
        return without + scale * (with_condition - without)

    return denoiser


def _times(timestep: int, like: Tensor) -> Tensor:
    return torch.full((len(like),), timestep, dtype=torch.long, device=like.device)
