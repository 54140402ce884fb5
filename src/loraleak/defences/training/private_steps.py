"""The mechanism of DP-SGD on stacked adapters: one gradient for each private image, clipped, summed, with noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.defences.accounting import Subsampling
from loraleak.errors import TrainingError
from loraleak.finetuning import Draw, Job, Trainer, clip_by_adapter, draw_for, gaussian_numbers, poisson_sample, shuffled_sample

__all__ = ["Mechanism", "PrivateTrainer"]


@dataclass(frozen=True)
class Mechanism:
    """Settings of what a step does with private images, one value for each job where jobs differ."""

    noise_multipliers: Sequence[float]
    """Standard deviations of the noise, divided by the clip."""
    clip: float
    """The largest norm that one image's gradient keeps."""
    sampling: Subsampling
    multiplicity: int
    """Draws of timestep and noise for every image, averaged before its gradient is clipped."""


class PrivateTrainer(Trainer):
    """DP-SGD (Abadi et al. 2016) with one row of a stack for each private image. All rows of a job hold the same values, so one
    backward pass gives each image a gradient of its own.

    Class images are public: their gradient is added as it is, neither clipped nor noisy. The recipe's `max_grad_norm` is not used.
    """

    def __init__(self, base: DiffusersBase, jobs: Sequence[Job], *, mechanism: Mechanism, freeze_down: bool = False) -> None:
        super().__init__(base, jobs, freeze_down=freeze_down)
        self.mechanism = mechanism
        self._up = self.stack.places("up")
        self._own = [torch.cat([self.stack.places(side, rank) for side in ("down", "up")]) for rank in self.stack.ranks]

    def step(self, step: int) -> float:
        """Take one step. Raises: TrainingError, if the factors B of an adapter are where they were."""
        before = self.stack.values[:, self._up]
        loss = super().step(step)
        moved = ((self.stack.values[:, self._up] - before).abs() > 0).any(1)
        if not bool(moved.all()):
            raise TrainingError(
                f"after private step {step} the factors B of {int((~moved).sum())} adapters are where they were, so nothing is "
                "learned: give a learning rate above 1e-6, and a noise multiplier and a clip above 0"
            )
        return loss

    def differentiate(self, step: int) -> Float[Tensor, " adapters"]:
        """Set the gradient: `(sum of clipped gradients + noise) / expected number of images`, plus that of class images."""
        draws = [self._draw_for(k, step) for k in range(len(self.recipes))]
        summed, losses = self._clipped_sums(draws, step)
        noise = torch.stack([self._noise(k, step) for k in range(len(self.recipes))])
        expected = summed.new_tensor([min(self.batch, count) for count in self.counts]).view(-1, 1)
        self.stack.gradients.copy_((summed + noise) / expected)
        if self.prior_batch:
            private = self.stack.gradients.clone()
            losses = losses + self._differentiate_prior(draws, step)
            self.stack.gradients.add_(private)
        self.stack.gradients[:, self.frozen] = 0
        return losses

    def _clipped_sums(
        self, draws: Sequence[Draw], step: int
    ) -> tuple[Float[Tensor, "adapters size"], Float[Tensor, " adapters"]]:
        """Each adapter's sum of its images' clipped gradients, and the mean of their losses."""
        summed, losses = torch.zeros_like(self.stack.values), self.stack.values.new_zeros(len(draws))
        owners = [k for k, drawn in enumerate(draws) for _ in drawn.private]
        if not owners:
            return summed, losses
        each = self.mechanism.multiplicity
        cut = [len(drawn.private) * each for drawn in draws]
        noise = torch.from_numpy(np.concatenate([d.noise[:n] for d, n in zip(draws, cut, strict=True)]))
        times = torch.from_numpy(np.concatenate([d.timesteps[:n] for d, n in zip(draws, cut, strict=True)]))
        latents = self.private[owners, np.concatenate([d.private for d in draws])]
        rows = self.stack.copies(owners)
        with self.base.stacked(rows):
            error = self.errors(
                latents[:, None].expand(-1, each, -1, -1, -1),
                noise.to(latents).unflatten(0, (-1, each)),
                times.to(latents.device).view(-1, each),
                self._private_states(owners, step)[:, None].expand(-1, each, -1, -1),
                self.debiased[owners],
            ).mean(1)
            rows.differentiate(error.sum())
        rows.gradients[:, self.frozen] = 0
        clip_by_adapter(rows.gradients, torch.full_like(error, self.mechanism.clip))
        places = torch.tensor(owners, device=summed.device)
        losses.index_add_(0, places, error.detach()).div_(torch.bincount(places, minlength=len(draws)).clamp(min=1))
        return summed.index_add_(0, places, rows.gradients), losses

    def _differentiate_prior(self, draws: Sequence[Draw], step: int) -> Float[Tensor, " adapters"]:
        count = self.prior_batch
        prior = self.prior[self.prior_of[:, None], np.stack([d.prior for d in draws])]
        noise = torch.from_numpy(np.stack([d.noise[-count:] for d in draws])).to(prior)
        times = torch.from_numpy(np.stack([d.timesteps[-count:] for d in draws])).to(prior.device)
        with self.base.stacked(self.stack):
            states = self.states(step)[:, 1:].expand(-1, count, -1, -1)
            losses = self.prior_weights * self.errors(prior, noise, times, states, self.debiased).mean(1)
            self.stack.differentiate(losses.sum())
        return losses.detach()

    def _private_states(self, owners: Sequence[int], step: int) -> Float[Tensor, "rows tokens dim"]:
        """Text states of the owners' prompts, through each row's own text encoder where that is trained."""
        if self.text_encoder:
            return self.base.embed_with_gradient([self.recipes[k].prompt for k in owners])
        return self.states(step)[owners, 0]

    def _draw_for(self, k: int, step: int) -> Draw:
        seed, images = self.recipes[k].seed, self.counts[k]
        if self.mechanism.sampling == "poisson":
            taken = poisson_sample(seed, step, min(1.0, self.batch / images), images)
        else:
            taken = shuffled_sample(seed, step, min(self.batch, images), images)
        return draw_for(
            seed,
            step,
            taken=taken,
            each=self.mechanism.multiplicity,
            prior=(self.prior_batch, self.prior_counts[k]),
            noise_levels=self.base.noise_levels,
            latent_shape=self.base.latent_shape,
        )

    def _noise(self, k: int, step: int) -> Float[Tensor, " size"]:
        """Noise of the sum. Places that are filled up with zeros get none, so that they stay zero."""
        numbers = gaussian_numbers(self.recipes[k].seed, step, len(self._own[k]))
        noise = torch.zeros_like(self.stack.values[k])
        noise[self._own[k]] = (numbers * self.mechanism.noise_multipliers[k] * self.mechanism.clip).to(noise)
        return noise
