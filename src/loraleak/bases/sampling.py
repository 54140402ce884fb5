"""One sampler for all arms: the base's own schedule, the same initial noise, a denoiser that the arm supplies.

Most denoisers are a `Mixture` of passes. Such arms are sampled together: a pass that several of them ask for runs once, and passes
with the same weights share batches.
"""

import hashlib
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.types import Images

__all__ = [
    "STEPS",
    "Denoiser",
    "Known",
    "Mixture",
    "Pass",
    "Timestep",
    "guided",
    "sample",
    "sample_together",
    "sampled_at_once",
    "times_strength",
]

STEPS = 20
"""Sampler steps where nobody says how many: those of class images, on which adapters are trained, whatever those of audits are."""

Timestep = int | float
"""Timestep of a schedule: a whole number for diffusion, a real one for flow matching."""

Denoiser = Callable[[Float[Tensor, "batch channels h w"], Timestep], Float[Tensor, "batch channels h w"]]
"""Function of noisy latents and a timestep: what the base predicts there, noise or a velocity. Guidance is linear in either."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of the denoiser: under which condition, and at which strength of the adapter."""

    condition: Float[Tensor, "*codes tokens dim"]
    """One for all pictures, or several: picture `i` has number `i`, modulo their number."""
    strength: float = 1.0
    """Factor of the update of an adapter that is attached; 0 switches it off."""
    guidance: float = 1.0
    """Scale of guidance, where it is an input of the denoiser."""

    @cached_property
    def key(self) -> "Key":
        """Equal keys ask for the same."""
        data = self.condition.detach().cpu().contiguous()
        return self.strength, self.guidance, hashlib.sha256(data.flatten().view(torch.uint8).numpy().tobytes()).digest()


Key: TypeAlias = tuple[float, float, bytes]
Known: TypeAlias = MutableMapping[Key, Float[Tensor, "batch channels h w"]]
"""Predictions from the initial noise, by pass. Arms that are sampled later use them again."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A denoiser that mixes the predictions of several passes."""

    base: DiffusersBase
    passes: tuple[Pass, ...]
    mix: Callable[..., Float[Tensor, "batch channels h w"]]
    """Function of the passes' predictions, in their order."""

    def __call__(self, latents: Float[Tensor, "batch channels h w"], timestep: Timestep) -> Float[Tensor, "batch channels h w"]:
        return self.mix(*_predicted(self.base, [(latents, each) for each in self.passes], timestep, len(latents) * 2))


def guided(
    base: DiffusersBase, condition: Float[Tensor, "*batch tokens dim"], empty: Float[Tensor, "tokens dim"], scale: float
) -> Mixture:
    """Classifier-free guidance (Ho and Salimans 2022): `eps(empty) + scale (eps(condition) - eps(empty))`, in one batch. A
    distilled base gives that in one pass.

    `condition` is one for all pictures, or one for each.
    """
    if scale == 1 or base.distilled:
        return Mixture(base, (Pass(condition, guidance=scale),), lambda predicted: predicted)
    return Mixture(base, (Pass(empty), Pass(condition)), lambda without, with_it: base.guide(without, with_it, scale))


def times_strength(denoiser: Mixture, factor: float) -> Mixture:
    """The same denoiser with the adapter's strength times a factor; 0 switches it off."""
    return replace(denoiser, passes=tuple(replace(each, strength=factor * each.strength) for each in denoiser.passes))


def sampled_at_once(base: DiffusersBase) -> int:
    """Number of pictures to sample in one batch, where many are wanted."""
    return 32 if base.resolution <= 128 else 4


def sample(base: DiffusersBase, denoiser: Denoiser, count: int, *, seed: int, steps: int = STEPS) -> Images:
    """`count` pictures by the sampler of the base's schedule; equal seeds start from equal noise, whatever the denoiser."""
    (made,) = sample_together(base, [denoiser], count, seed=seed, steps=steps)
    return made


@torch.no_grad()
def sample_together(
    base: DiffusersBase,
    denoisers: Sequence[Denoiser],
    count: int,
    *,
    seed: int,
    steps: int = STEPS,
    at_most: int = 0,
    known: Known | None = None,
) -> list[Images]:
    """`count` pictures of each denoiser. All start from the same noise.

    At most `at_most` pictures go through the base's denoiser in one batch, but at least twice as many as there are of one
    denoiser. `known` keeps predictions from the initial noise for later calls with the same base, adapter, seed and steps.
    """
    sampler = base.schedule.sampler(steps)
    noise = torch.randn((count, *base.latent_shape), generator=torch.Generator().manual_seed(seed)).to(base.device)
    latents = [noise] * len(denoisers)
    at_most = max(at_most, 2 * count)
    for index, timestep in enumerate(sampler.timesteps):
        asked = [
            (mine, each)
            for mine, denoiser in zip(latents, denoisers, strict=True)
            if isinstance(denoiser, Mixture)
            for each in denoiser.passes
        ]
        predicted = iter(_predicted(base, asked, timestep.item(), at_most, known if index == 0 else None))
        mixed = [
            denoiser.mix(*(next(predicted) for _ in denoiser.passes))
            if isinstance(denoiser, Mixture)
            else denoiser(mine, timestep.item())
            for mine, denoiser in zip(latents, denoisers, strict=True)
        ]
        stepped = sampler.step(torch.cat(mixed), timestep, torch.cat(latents)).prev_sample
        latents = list(stepped.split(count))
    pictures = base.decode(torch.cat(latents))
    return [pictures[i * count : (i + 1) * count] for i in range(len(denoisers))]


def _predicted(
    base: DiffusersBase, asked: Sequence[tuple[Tensor, Pass]], timestep: Timestep, at_most: int, known: Known | None = None
) -> list[Tensor]:
    """Predictions of passes, each from its latents. What is asked for twice runs once, and equal strengths share batches."""
    keys = [(id(latents), each.key) for latents, each in asked]
    made = {key: known[key[1]] for key in keys if known is not None and key[1] in known}
    missing = {key: pair for key, pair in zip(keys, asked, strict=True) if key not in made}
    for together in dict.fromkeys((each.strength, each.guidance) for _, each in missing.values()):
        wanted = {k: p for k, p in missing.items() if (p[1].strength, p[1].guidance) == together}
        latents = torch.cat([mine for mine, _ in wanted.values()])
        conditions = torch.cat([_for_each(each.condition, len(mine)).to(mine.device) for mine, each in wanted.values()])
        with _at(base, together[0]):
            parts = [
                base.predict(part, torch.full((len(part),), timestep, device=part.device), condition, together[1])
                for part, condition in zip(latents.split(at_most), conditions.split(at_most), strict=True)
            ]
        made |= zip(wanted, torch.cat(parts).split([len(mine) for mine, _ in wanted.values()]), strict=True)
    if known is not None:
        known.update({key[1]: made[key] for key in missing})
    return [made[key] for key in keys]


def _for_each(condition: Float[Tensor, "*codes tokens dim"], count: int) -> Float[Tensor, "count tokens dim"]:
    if condition.ndim == 2:
        return condition.expand(count, -1, -1)
    return condition[torch.arange(count, device=condition.device) % len(condition)]


def _at(base: DiffusersBase, strength: float) -> AbstractContextManager[None]:
    if strength == 1:
        return nullcontext()
    return base.multiplied(strength) if strength else base.bare()
