"""DreamBooth LoRA of many people at once: K adapters, one forward and one backward pass a step over one frozen base."""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.stacked_layers import Stack
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.optimiser import StackedAdamW, clip_by_adapter
from loraleak.finetuning.randomness import Draw, draw, start_numbers
from loraleak.finetuning.recipe import Recipe, Targets
from loraleak.progress import progress_bar
from loraleak.types import Adapter, Images, Picture

__all__ = ["Job", "Snapshot", "finetune_together", "target_modules"]

_ATTENTION = (".to_q", ".to_k", ".to_v", ".to_out.0", ".q_proj", ".k_proj", ".v_proj", ".out_proj")
_BLOCKS = ("unet.down_blocks.", "unet.mid_block.", "unet.up_blocks.", "text_encoder.text_model.encoder.")


@dataclass(frozen=True)
class Job:
    """One adapter to train."""

    images: Sequence[Picture] | Images
    recipe: Recipe
    snapshots: Collection[int] = ()
    """Steps after which the adapter is wanted too, besides the last."""
    class_images: Images | None = None
    """For prior preservation; None makes (or finds in the cache) those of the recipe."""


@dataclass(frozen=True)
class Snapshot:
    """The adapter of `jobs[job]` after `step` steps."""

    job: int
    step: int
    adapter: Adapter


def finetune_together(base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
    """Train one adapter a job (Ruiz et al. 2023; Hu et al. 2022), as if each were alone, and give snapshots as they come.

    Everything frozen is computed once: latents, class images, text states. An adapter depends on its own job alone: its
    randomness is a function of its recipe's seed and the step.

    Raises: PhotosError, if a job has no image; UsageError, if jobs differ in what one batch must share.
    """
    if any(len(job.images) == 0 for job in jobs):
        raise PhotosError("there are no images to train on: give a folder with 3 to 20 jpg, png or webp files")
    shared = {(r.batch, r.prior_batch, r.text_encoder, r.targets) for r in (job.recipe for job in jobs)}
    if len(shared) != 1:
        raise UsageError("adapters that train together must share batch, prior_batch, text_encoder and targets")
    order = sorted(range(len(jobs)), key=lambda k: -jobs[k].recipe.steps)
    training = _Training(base, [jobs[k] for k in order])
    longest = jobs[order[0]].recipe.steps
    with progress_bar(hidden=quiet) as bar:
        task = bar.add_task("fine-tuning", total=longest, figures="")
        for step in range(1, longest + 1):
            with base.stacked(training.stack):  # for the step alone: whoever takes a snapshot finds the base as it was
                loss = training.step(step)
            bar.update(task, advance=1, figures=f"loss {loss:.3f}")
            for row, k in enumerate(order[: len(training.stack)]):
                if step == jobs[k].recipe.steps or step in jobs[k].snapshots:
                    yield Snapshot(k, step, Adapter(factors=training.stack.factors(row), format="memory"))
            going = sum(job.recipe.steps > step for job in jobs)
            if 0 < going < len(training.stack):
                training.keep(going)


def target_modules(base: DiffusersBase, targets: Targets, *, text_encoder: bool) -> dict[str, torch.Size]:
    """Weight shapes by name of the modules that get factors.

    `attention`: the attention projections, as diffusers' DreamBooth script; `cross-attention`: those of the layers that the prompt
    enters by, with none in the text encoder, as Kumari et al. 2023; `transformer`: everything linear in the transformer
    blocks, as kohya's; `all`: convolutions of the residual blocks too, as LoCon.
    """
    chosen = {}
    for name, shape in base.modules.items():
        if not name.startswith(_BLOCKS) or (name.startswith("text_encoder.") and not text_encoder):
            continue
        in_transformer = ".attentions." in name or name.startswith("text_encoder.")
        if (
            targets == "all"
            or (targets == "transformer" and in_transformer)
            or (targets == "attention" and in_transformer and name.endswith(_ATTENTION))
            or (targets == "cross-attention" and ".attn2." in name and name.endswith(_ATTENTION))
        ):
            chosen[name] = shape
    return chosen


class _Training:
    """The state of jobs, longest first, between steps."""

    def __init__(self, base: DiffusersBase, jobs: Sequence[Job]) -> None:
        self.base = base
        self.recipes = [job.recipe for job in jobs]
        first = self.recipes[0]
        self.batch, self.prior_batch, self.text_encoder = first.batch, first.prior_batch, first.text_encoder
        like = next(base.unet.parameters())
        self.private = _padded([base.encode(job.images).to(like) for job in jobs])
        self.counts = [len(job.images) for job in jobs]
        self.prior, self.prior_of, self.prior_counts = self._class_latents(jobs, like)
        self.prompts = [prompt for recipe in self.recipes for prompt in (recipe.prompt, recipe.class_prompt)]
        self.states = None if self.text_encoder else base.embed(self.prompts).unflatten(0, (-1, 2))
        self.prior_weights = _row([r.prior_weight for r in self.recipes], like)
        self.stack = Stack(
            target_modules(base, first.targets, text_encoder=first.text_encoder),
            [recipe.rank for recipe in self.recipes],
            [recipe.alpha / recipe.rank for recipe in self.recipes],
            like,
        )
        self.stack.start([start_numbers(recipe.seed, self.stack.width(k)) for k, recipe in enumerate(self.recipes)])
        self.optimiser = StackedAdamW(_row([r.learning_rate for r in self.recipes], like), self.stack.values)
        self.most = _row([r.max_grad_norm for r in self.recipes], like)
        self.debiased = torch.tensor([r.loss_weighting == "debiased" for r in self.recipes], device=like.device)

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

    def keep(self, count: int) -> None:
        """Go on with the first `count` jobs."""
        self.recipes, self.private, self.counts = self.recipes[:count], self.private[:count], self.counts[:count]
        self.prior_of, self.prior_counts = self.prior_of[:count], self.prior_counts[:count]
        self.prior_weights = self.prior_weights[:count]
        self.most, self.debiased = self.most[:count], self.debiased[:count]
        self.prompts = self.prompts[: 2 * count]
        self.states = None if self.states is None else self.states[:count]
        self.stack.keep(count)
        self.optimiser.keep(count)

    def step(self, step: int) -> float:
        """One step of every adapter. Returns the mean loss."""
        draws = [self._draw(k, step) for k in range(len(self.recipes))]
        latents = self._latents(draws)
        noise = _stacked([d.noise for d in draws]).to(latents).flatten(0, 1)
        times = _stacked([d.timesteps for d in draws]).to(latents.device).flatten()
        predicted = self.base.predict_noise(self.base.add_noise(latents.flatten(0, 1), noise, times), times, self._condition())
        error = (predicted - noise).square().flatten(1).mean(1).view(len(self.recipes), -1) * self._weights(times)
        losses = error[:, : self.batch].mean(1)
        if self.prior_batch:
            losses = losses + self.prior_weights * error[:, self.batch :].mean(1)
        self.stack.differentiate(losses.sum())
        clip_by_adapter(self.stack.gradients, self.most)
        self.optimiser.step(self.stack.values, self.stack.gradients)
        return float(losses.detach().mean())

    def _weights(self, times: Int[Tensor, " batch"]) -> Float[Tensor, "adapters images"]:
        """Of the errors, by timestep; their mean over all timesteps is 1, so that learning rates mean the same."""
        debiased = self.base.signal_to_noise.clamp(min=1e-3).rsqrt()  # zero-terminal schedules end in 0
        weights = (debiased / debiased.mean()).to(times.device)[times].view(len(self.recipes), -1)
        return torch.where(self.debiased.view(-1, 1), weights.to(self.prior_weights), 1.0)

    def _draw(self, k: int, step: int) -> Draw:
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

    def _condition(self) -> Float[Tensor, "batch tokens dim"]:
        states = self.states
        if states is None:
            states = self.base.embed_with_gradient(self.prompts).unflatten(0, (-1, 2))
        role = torch.tensor([0] * self.batch + [1] * self.prior_batch, device=states.device)
        return states[:, role].flatten(0, 1)


def _row(values: Sequence[float], like: Tensor) -> Float[Tensor, " adapters"]:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _padded(parts: Sequence[Tensor]) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(parts), batch_first=True)


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
