"""Diffusion: `x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise`, as Stable Diffusion 1.x, 2.x and XL are trained (Ho et al. 2020)."""

from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler
from jaxtyping import Float, Int
from torch import Tensor

from loraleak.errors import UsageError

__all__ = ["Diffusion"]


class Diffusion:
    """A noise schedule over whole timesteps. The base predicts the noise, or `v = sqrt(abar) noise - sqrt(1 - abar) x_0` (Salimans
    and Ho 2022)."""

    def __init__(self, scheduler: Any) -> None:
        """`scheduler` is the pipeline's; it is read, never stepped. Raises: UsageError, if it is of another kind."""
        kind = scheduler.config.get("prediction_type")
        if kind not in ("epsilon", "v_prediction") or not hasattr(scheduler, "alphas_cumprod"):
            raise UsageError(
                f"the base has a {type(scheduler).__name__} that predicts {kind}: give a base that predicts epsilon or v_prediction"
            )
        self.config = scheduler.config
        self.alphas_cumprod: Float[Tensor, " levels"] = scheduler.alphas_cumprod
        """abar."""
        self.velocity = kind == "v_prediction"
        self.timesteps: Int[Tensor, " levels"] = torch.arange(int(scheduler.config["num_train_timesteps"]))

    @property
    def weights(self) -> Float[Tensor, " levels"]:
        """Weights of the prediction's squared error, with a mean of 1: `1 / sqrt(SNR)` for noise (Yu et al. 2024, arXiv
        2310.08442). The error of the noise is `abar` times that of v, so a base that predicts v has `abar / sqrt(SNR)`."""
        weights = self._signal_to_noise.rsqrt()
        if self.velocity:
            weights = weights * self.alphas_cumprod.double()
        return weights / weights.mean()

    def add_noise(
        self, latents: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], timesteps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """`x_t` (Ho et al. 2020, eq. 4).

        The scheduler's own method is not used: DPM-Solver's counts timesteps backwards until a sampling run has set them.
        """
        alpha_bar = self._alphas_cumprod_at(timesteps, latents)
        return alpha_bar.sqrt() * latents + (1 - alpha_bar).sqrt() * noise

    def target(
        self, latents: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], timesteps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """Noise or velocity that a base learns to predict."""
        if not self.velocity:
            return noise
        alpha_bar = self._alphas_cumprod_at(timesteps, latents)
        return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * latents

    def denoised(
        self, noisy: Float[Tensor, "batch ..."], prediction: Float[Tensor, "batch ..."], timesteps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """`x_0` in one step."""
        if self.velocity:
            alpha_bar = self._alphas_cumprod_at(timesteps, noisy)
            return alpha_bar.sqrt() * noisy - (1 - alpha_bar).sqrt() * prediction
        ratio = _column(self._signal_to_noise.to(noisy)[timesteps], noisy)
        alpha_bar = ratio / (1 + ratio)
        return (noisy - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()

    def leading_to(
        self, noisy: Float[Tensor, "batch ..."], wanted: Float[Tensor, "batch ..."], timesteps: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch ..."]:
        """The prediction from which `denoised` gives `x_0 = wanted`."""
        alpha_bar = self._alphas_cumprod_at(timesteps, noisy)
        noise = (noisy - alpha_bar.sqrt() * wanted) / (1 - alpha_bar).sqrt()
        return self.target(wanted, noise, timesteps)

    def sampler(self, steps: int) -> Any:
        """DPM-Solver++(2M) (Lu et al. 2022), set to this many steps."""
        scheduler = DPMSolverMultistepScheduler.from_config(
            self.config,
            prediction_type="v_prediction" if self.velocity else "epsilon",
            algorithm_type="dpmsolver++",
            solver_order=2,
        )
        scheduler.set_timesteps(steps)
        return scheduler

    @property
    def _signal_to_noise(self) -> Float[Tensor, " levels"]:
        alpha_bar = self.alphas_cumprod.double()
        return (alpha_bar / (1 - alpha_bar)).clamp(min=1e-3)  # zero-terminal schedules end in 0

    def _alphas_cumprod_at(self, timesteps: Int[Tensor, " batch"], like: Tensor) -> Float[Tensor, "batch *_"]:
        return _column(self.alphas_cumprod.to(timesteps.device)[timesteps].to(like), like)


def _column(values: Float[Tensor, " batch"], like: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (like.ndim - 1))
