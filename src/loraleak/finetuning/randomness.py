"""Randomness of fine-tuning, by counter: a function of the recipe's seed and the step, whoever else is trained beside."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Draw", "draw", "start_numbers"]


@dataclass(frozen=True)
class Draw:
    """All chance of one step of one adapter: which images, how noisy, and the noise. Private images come before class images."""

    private: Int[np.ndarray, " batch"]
    prior: Int[np.ndarray, " prior_batch"]
    timesteps: Int[np.ndarray, " images"]
    noise: Float[np.ndarray, "images channels h w"]


def draw(
    seed: int,
    step: int,
    *,
    private: tuple[int, int],
    prior: tuple[int, int],
    noise_levels: int,
    latent_shape: tuple[int, int, int],
) -> Draw:
    """`private` and `prior` are `(how many to take, out of how many)`."""
    generator = _stream(seed, 1 + step)
    images = private[0] + prior[0]
    return Draw(
        private=generator.integers(private[1], size=private[0]),
        prior=generator.integers(max(1, prior[1]), size=prior[0]),
        timesteps=generator.integers(noise_levels, size=images),
        noise=generator.standard_normal((images, *latent_shape), dtype=np.float32),
    )


def start_numbers(seed: int, size: int) -> Float[Tensor, " size"]:
    """Uniform numbers in [0, 1) for the factors at the start."""
    return torch.from_numpy(_stream(seed, 0).random(size, dtype=np.float32))


def _stream(seed: int, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed, counter=block << 192))
