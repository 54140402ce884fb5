"""The trainer: the state of K jobs between steps, and the gradient of DreamBooth's loss."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from loraleak.bases import DiffusersBase, Stack
from loraleak.errors import UsageError
from loraleak.finetuning.checkpoints import Checkpoints
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.job import Job
from loraleak.finetuning.optimiser import StackedAdamW, clip_by_adapter
from loraleak.finetuning.randomness import Draw, draw, start_numbers
from loraleak.finetuning.targets import target_modules

__all__ = ["Trainer"]


class Trainer:
    """The state of jobs, longest first, between steps. Classes that change a step's prompt, loss or gradient derive from it."""

    def __init__(self, base: DiffusersBase, jobs: Sequence[Job], *, freeze_down: bool = False) -> None:
        """`freeze_down` keeps the factors A as they start (FFA-LoRA, Sun et al. 2024).

        Raises: UsageError, if the base is in float16, whose range small gradients leave.
        """
        if base.dtype == torch.float16:
            raise UsageError("gradients vanish in float16: fine-tune with --dtype bfloat16, which takes the same memory")
        self.base = base
        self.recipes = [job.recipe for job in jobs]
        first = self.recipes[0]
        self.batch, self.prior_batch, self.text_encoder = first.batch, first.prior_batch, first.text_encoder
        like = base.like
        self.private = _padded([base.encode(job.images).to(like) for job in jobs])
        self.counts = [len(job.images) for job in jobs]
        self.prior, self.prior_of, self.prior_counts = self._class_latents(jobs, like)
        self.prompts = [self.prompts_of(job) for job in jobs]
        self._fixed = None if self.text_encoder else self._embedded(base.embed)
        self.prior_weights = _row([r.prior_weight for r in self.recipes], like)
        self.stack = Stack(
            target_modules(base, first.targets, text_encoder=first.text_encoder),
            [recipe.rank for recipe in self.recipes],
            [recipe.alpha / recipe.rank for recipe in self.recipes],
            like,
        )
        self.stack.start([start_numbers(recipe.start, self.stack.width(k)) for k, recipe in enumerate(self.recipes)])
        down = self.stack.places("down")
        self.frozen = down if freeze_down else down[:0]
        self.optimiser = StackedAdamW(_row([r.learning_rate for r in self.recipes], like), self.stack.values)
        self.max_grad_norms = _row([r.max_grad_norm for r in self.recipes], like)
        self.debiased = torch.tensor([r.loss_weighting == "debiased" for r in self.recipes], device=like.device)

    def keep(self, count: int) -> None:
        """Keep the first `count` jobs and drop the others."""
        self.recipes, self.private, self.counts = self.recipes[:count], self.private[:count], self.counts[:count]
        self.prior_of, self.prior_counts = self.prior_of[:count], self.prior_counts[:count]
        self.prior_weights = self.prior_weights[:count]
        self.max_grad_norms, self.debiased = self.max_grad_norms[:count], self.debiased[:count]
        self.prompts = self.prompts[:count]
        self._fixed = None if self._fixed is None else self._fixed[:count]
        self.stack.keep(count)
        self.optimiser.keep(count)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything that steps change, by name, so that a training can be kept and gone on with."""
        return {"values": self.stack.values, "first": self.optimiser.first, "second": self.optimiser.second}

    def resume(self, checkpoints: Checkpoints) -> int:
        """Go on from a checkpoint, and give the step after which it was kept; 0 for a new training. Raises: as `Checkpoints.begin`."""
        begun = checkpoints.begin(self.tensors)
        self.optimiser.steps = begun
        return begun

    def step(self, step: int) -> float:
        """Take one step of every adapter. Returns the mean loss."""
        losses = self.differentiate(step)
        with torch.no_grad():
            unmoved = self.stack.values[:, self.frozen]
            self.optimiser.step(self.stack.values, self.stack.gradients)
            self.stack.values[:, self.frozen] = unmoved
        return float(losses.mean())

    def differentiate(self, step: int) -> Float[Tensor, " adapters"]:
        """Put the gradients of a step into the stack's. Returns the losses."""
        with self.base.stacked(self.stack):  # only within the step, so that snapshots find the base as it was
            losses = self.losses(step)
            self.stack.differentiate(losses.sum())
        self.stack.gradients[:, self.frozen] = 0
        clip_by_adapter(self.stack.gradients, self.max_grad_norms)
        return losses.detach()

    def losses(self, step: int) -> Float[Tensor, " adapters"]:
        """DreamBooth's loss of every adapter, while the stack is in the base."""
        return self.adaptation(self.errors(*self.examples(step), self.debiased))

    def examples(
        self, step: int
    ) -> tuple[
        Float[Tensor, "adapters images channels h w"],
        Float[Tensor, "adapters images channels h w"],
        Int[Tensor, "adapters images"],
        Float[Tensor, "adapters images tokens dim"],
    ]:
        """Latents, noise, noise levels and text states of a step; private images first."""
        draws = [self.draw(k, step) for k in range(len(self.recipes))]
        latents = self._latents(draws)
        noise = _stacked([d.noise for d in draws]).to(latents)
        times = _stacked([d.timesteps for d in draws]).to(latents.device)
        roles = torch.tensor([[*self.roles(k, drawn), *[-1] * self.prior_batch] for k, drawn in enumerate(draws)])
        rows = torch.arange(len(draws))[:, None]
        return latents, noise, times, self.states(step)[rows, roles.to(latents.device)]

    def adaptation(self, error: Float[Tensor, "adapters images"]) -> Float[Tensor, " adapters"]:
        """The loss of private images, and the weighted one of class images."""
        losses = error[:, : self.batch].mean(1)
        if self.prior_batch:
            losses = losses + self.prior_weights * error[:, self.batch :].mean(1)
        return losses

    def errors(
        self,
        latents: Float[Tensor, "rows images channels h w"],
        noise: Float[Tensor, "rows images channels h w"],
        times: Int[Tensor, "rows images"],
        states: Float[Tensor, "rows images tokens dim"],
        debiased: Bool[Tensor, " rows"],
    ) -> Float[Tensor, "rows images"]:
        """Squared errors of the base's predictions, weighted by noise level. The weights have a mean of 1 over all levels, so
        that learning rates mean the same. `times` count the base's levels."""
        clean, true = latents.flatten(0, 1), noise.flatten(0, 1)
        timesteps = self.base.timesteps.to(times.device)[times.flatten()]
        noisy = self.base.add_noise(clean, true, timesteps)
        predicted = self.base.predict(noisy, timesteps, states.flatten(0, 1))
        target = self.base.schedule.target(clean, true, timesteps)
        error = (predicted - target).square().flatten(1).mean(1).view(len(times), -1)
        weights = self.base.schedule.weights.to(times.device)[times].to(error)
        return error * torch.where(debiased.view(-1, 1), weights, 1.0)

    def prompts_of(self, job: Job) -> list[str]:
        """Prompts that a job trains under: as many for private images in every job, and the class prompt last."""
        return [job.recipe.prompt, job.recipe.class_prompt]

    def roles(self, k: int, drawn: Draw) -> Sequence[int]:
        """Which of the prompts of job `k` each private image of a draw stands under."""
        return [0] * len(drawn.private)

    def states(self, step: int) -> Float[Tensor, "adapters prompts tokens dim"]:
        """Text states of each adapter's prompts, the class prompt last."""
        return self._embedded(self.base.embed_with_gradient) if self._fixed is None else self._fixed

    def _embedded(self, embed: Callable[[Sequence[str]], Tensor]) -> Float[Tensor, "adapters prompts tokens dim"]:
        return embed([prompt for own in self.prompts for prompt in own]).unflatten(0, (len(self.prompts), -1))

    def _class_latents(self, jobs: Sequence[Job], like: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """Latents `[sets, images, ...]` of the different sets of class images, each job's set, and how many images it has."""
        if not self.prior_batch:
            return (
                torch.zeros(1, 1, *self.base.latent_shape).to(like),
                torch.zeros(len(jobs), dtype=torch.long),
                [0] * len(jobs),
            )
        sets: dict[Hashable, Tensor] = {}
        keys: list[Hashable] = []
        for job in jobs:
            r = job.recipe
            own = job.class_images
            keys.append((r.class_prompt, r.class_count, r.guidance_scale) if own is None else id(own))
            if keys[-1] not in sets:
                sets[keys[-1]] = self.base.encode(class_images(self.base, r) if own is None else own).to(like)
        order = list(sets)
        return _padded(list(sets.values())), torch.tensor([order.index(k) for k in keys]), [len(sets[k]) for k in keys]

    def draw(self, k: int, step: int) -> Draw:
        """All chance of one step of job `k`."""
        return draw(
            self.recipes[k].seed,
            step,
            private=(self.batch, self.counts[k]),
            prior=(self.prior_batch, self.prior_counts[k]),
            noise_levels=self.base.noise_levels,
            latent_shape=self.base.latent_shape,
        )

    def _latents(self, draws: Sequence[Draw]) -> Float[Tensor, "adapters images channels h w"]:
        rows = torch.arange(len(draws))[:, None]
        private = self.private[rows, _stacked([d.private for d in draws])]
        prior = self.prior[self.prior_of[:, None], _stacked([d.prior for d in draws])]
        return torch.cat([private, prior], dim=1)


def _row(values: Sequence[float], like: Tensor) -> Float[Tensor, " adapters"]:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _padded(parts: Sequence[Tensor]) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(parts), batch_first=True)


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
