"""Flow matching on straight lines, `x_t = (1 - sigma) x_0 + sigma noise` (Esser et al. 2024): Stable Diffusion 3, Flux and later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from jaxtyping import Float
from torch import Tensor

__all__ = ["Flow"]

Shift = Callable[[int, int], float]


class Flow:
    """A noise schedule over real timesteps, `1000 sigma`. The base predicts the velocity `noise - x_0`."""

    def __init__(self, scheduler: Any, *, tokens: int, to_last: bool = True, shift: Shift | None = None) -> None:
        """`tokens` is the number of the image's tokens, which shifts the sampler's levels where the schedule says so, by
        `shift(tokens, steps)` where a family has a rule of its own. `to_last`: the last step starts from `1 / steps`, as in
        Flux. In Stable Diffusion 3 it starts from the schedule's own lowest level."""
        self.config = scheduler.config
        self.tokens, self.to_last = tokens, to_last
        self.shift = shift or self._straight
        self.length = float(scheduler.config["num_train_timesteps"])
        fresh = FlowMatchEulerDiscreteScheduler.from_config(self.config)  # as in training, whatever was sampled before
        self.timesteps: Float[Tensor, " levels"] = fresh.timesteps.flip(0).clone()

    @property
    def weights(self) -> Float[Tensor, " levels"]:
        """Weights of evenly drawn levels, with a mean of 1: the density of logit-normal timesteps (Esser et al. 2024, eq. 19,
        with mean 0 and deviation 1). The expected gradient is that of logit-normal draws (section 3.1 there)."""
        levels = len(self.timesteps)
        time = (torch.arange(levels, dtype=torch.float64) + 0.5) / levels
        weights = torch.exp(-time.logit().square() / 2) / (time * (1 - time))
        return weights / weights.mean()

    def add_noise(
        self, latents: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], timesteps: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """`x_t` (Esser et al. 2024, eq. 13)."""
        sigma = self._sigma(timesteps, latents)
        return (1 - sigma) * latents + sigma * noise

    def target(
        self, latents: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], timesteps: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """Velocity that a base learns to predict."""
        return noise - latents

    def denoised(
        self, noisy: Float[Tensor, "batch ..."], prediction: Float[Tensor, "batch ..."], timesteps: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """`x_0` in one step."""
        return noisy - self._sigma(timesteps, noisy) * prediction

    def leading_to(
        self, noisy: Float[Tensor, "batch ..."], wanted: Float[Tensor, "batch ..."], timesteps: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """The prediction from which `denoised` gives `x_0 = wanted`."""
        return (noisy - wanted) / self._sigma(timesteps, noisy)

    def sampler(self, steps: int) -> Any:
        """Euler's method on the base's own levels, set to this many steps."""
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(self.config)
        mu = self.shift(self.tokens, steps) if self.config["use_dynamic_shifting"] else None
        scheduler.set_timesteps(steps, sigmas=np.linspace(1.0, 1 / steps, steps) if self.to_last else None, mu=mu)
        return scheduler

    def _straight(self, tokens: int, steps: int) -> float:
        """A straight line over the image's tokens, as in Flux.1."""
        config = self.config
        ends = (config["base_image_seq_len"], config["max_image_seq_len"], config["base_shift"], config["max_shift"])
        return float(calculate_shift(tokens, *ends))

    def _sigma(self, timesteps: Float[Tensor, " batch"], like: Tensor) -> Float[Tensor, "batch *_"]:
        return (timesteps / self.length).to(like).view(-1, *(1,) * (like.ndim - 1))
