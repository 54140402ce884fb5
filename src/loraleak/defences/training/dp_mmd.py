"""DP-MMD, which sees the private images once, through noise, and never again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.defences.accounting import gaussian_epsilon, gaussian_noise
from loraleak.defences.guarantee import Guarantee, why_none
from loraleak.defences.protocol import TrainingTime
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot, Trainer, finetune_together, gaussian_numbers, side_generator

__all__ = ["DpMmd", "FourierFeatures"]


@dataclass(frozen=True)
class DpMmd(TrainingTime):
    """Training towards the mean embedding of the private latents. The Gaussian mechanism releases that mean once (Harder et al.
    2021; analytic noise of Balle and Wang 2018). Fine-tuning then pulls the mean embedding of generated latents towards it.

    This is the paper's DPGM as far as it can be known (Yao 2024 took noise levels that were accounted for 60,000 examples).
    Here the accountant sees the true number. Embeddings have norm 1, so one image changes the sum by 1, and all n images by n.
    """

    name: ClassVar[str] = "dp-mmd"
    says: ClassVar[str] = (
        "Looks at the private photos once, through noise, and trains on what is left of their average: a person in outline at best."
    )
    epsilon: float = 8.0
    """Epsilon of one private image."""
    noise: float | None = None
    """The noise multiplier itself, instead of epsilon."""
    delta: float = 1e-5
    features: int = 1024
    """Random Fourier features; an even number."""

    def __post_init__(self) -> None:
        faults = [f"epsilon is {self.epsilon:g}, it must be above 0"] if not self.epsilon > 0 else []
        if not 0 < self.delta < 1:
            faults.append(f"delta is {self.delta:g}, give a number between 0 and 1")
        if self.noise is not None and not self.noise >= 0:
            faults.append(f"noise is {self.noise:g}, it must be at least 0")
        if self.features < 2 or self.features % 2:
            faults.append(f"features is {self.features}, give an even number above 0")
        if faults:
            raise UsageError("dp-mmd: " + "; ".join(faults))

    @property
    def noise_multiplier(self) -> float:
        """The noise's standard deviation, divided by the norm of one image's embedding."""
        return gaussian_noise(self.epsilon, self.delta) if self.noise is None else self.noise

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train towards the released mean.

        Raises: UsageError, without class images, from which generation starts, or with fewer than 2 images a step.
        """
        for recipe in (job.recipe for job in jobs):
            if not recipe.prior_batch or recipe.batch < 2:
                raise UsageError(
                    "dp-mmd generates from class images, two or more a step: give prior_batch and batch of at least 2"
                )
        return finetune_together(base, jobs, quiet=quiet, trainer=partial(_MmdTrainer, settings=self))

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Guarantee of the release, for any recipe: all that follows the release is post-processing."""
        noise = self.noise_multiplier
        facts = Guarantee("Gaussian", noise_multiplier=noise, sampling_rate=1.0, steps=1)
        if (why := why_none(noise, recipe.seed)) is not None:
            return replace(facts, why_none=why)
        return replace(
            facts,
            accountant="analytic Gaussian",
            epsilon_image=gaussian_epsilon(noise, self.delta),
            epsilon_person=gaussian_epsilon(noise / images, self.delta),
            delta=self.delta,
        )


class FourierFeatures:
    """Random Fourier features, pairs of cosine and sine (Rahimi and Recht 2007).

    `phi(x)` has norm 1, and `phi(x) phi(y) ~ exp(-|x - y|^2 / (2 width^2))`.
    """

    def __init__(self, count: int, width: float, like: Float[Tensor, "images channels h w"]) -> None:
        """Draw the directions, which are public: the same for everybody."""
        size = like[0].numel()
        drawn = torch.randn(size, count // 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.directions = (drawn / width).to(like)

    def __call__(self, latents: Float[Tensor, "images channels h w"]) -> Float[Tensor, "images features"]:
        angles = latents.flatten(1) @ self.directions
        return torch.cat([angles.cos(), angles.sin()], dim=1) / sqrt(angles.shape[1])


class _MmdTrainer(Trainer):
    """A trainer whose steps never see private images. Only `__init__` does."""

    def __init__(self, base: DiffusersBase, jobs: Sequence[Job], *, settings: DpMmd) -> None:
        super().__init__(base, jobs)
        self.phi = [self._features(k, settings.features) for k in range(len(jobs))]
        self.released = [self._release(k, settings.noise_multiplier) for k in range(len(jobs))]
        self.private = torch.zeros_like(self.private)

    def losses(self, step: int) -> Float[Tensor, " adapters"]:
        """Squared maximum mean discrepancy, unbiased in the generated latents, plus the prior's loss."""
        latents, noise, times, states = self.examples(step)
        starts = torch.stack([self._class_images_of(k, step) for k in range(len(self.recipes))])
        latents = torch.cat([starts, latents[:, self.batch :]], dim=1)
        late = (
            self.base.noise_levels // 2 + times[:, : self.batch] // 4
        )  # at these levels little of the class image is left, and some of a face
        times = torch.cat([late, times[:, self.batch :]], dim=1)
        flat = self.base.timesteps.to(times.device)[times.flatten()]
        clean, added = latents.flatten(0, 1), noise.flatten(0, 1)
        noisy = self.base.add_noise(clean, added, flat)
        predicted = self.base.predict(noisy, flat, states.flatten(0, 1))
        guessed = self.base.schedule.denoised(noisy, predicted, flat).view_as(latents)[:, : self.batch]
        error = (predicted - self.base.schedule.target(clean, added, flat)).view_as(noise).square().flatten(2).mean(2)
        distance = torch.stack([_distance(self.phi[k](guessed[k]), self.released[k]) for k in range(len(self.recipes))])
        return distance + self.prior_weights * error[:, self.batch :].mean(1)

    def _features(self, k: int, count: int) -> FourierFeatures:
        """Features whose width is the distance between class images, which is public."""
        images = self.prior[self.prior_of[k], : self.prior_counts[k]]
        width = torch.pdist(images.flatten(1)).median() if len(images) > 1 else images.norm()
        return FourierFeatures(count, float(width), images)

    def _release(self, k: int, noise_multiplier: float) -> Float[Tensor, " features"]:
        """The noisy mean `(sum of embeddings + noise) / n`, the only look at private images."""
        count = self.counts[k]
        total = self.phi[k](self.private[k, :count]).sum(0)
        noise = gaussian_numbers(self.recipes[k].seed, 0, len(total)).to(total)
        return (total + noise_multiplier * noise) / count

    def _class_images_of(self, k: int, step: int) -> Float[Tensor, "batch channels h w"]:
        chosen = side_generator(self.recipes[k].seed, step).integers(self.prior_counts[k], size=self.batch)
        return self.prior[self.prior_of[k], torch.from_numpy(chosen)]


def _distance(made: Float[Tensor, "images features"], target: Float[Tensor, " features"]) -> Float[Tensor, ""]:
    """The distance `|E phi(made) - target|^2` without the bias of a small sample (Gretton et al. 2012)."""
    count = len(made)
    inner = made @ made.T
    among = (inner.sum() - inner.diagonal().sum()) / (count * (count - 1))
    return among - 2 * (made @ target).mean() + target @ target
