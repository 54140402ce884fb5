"""Randomness of fine-tuning, by counter: a function of the recipe's seed and the step, whatever else is in the batch."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "Draw",
    "draw",
    "draw_for",
    "gaussian_numbers",
    "poisson_sample",
    "shuffled_sample",
    "side_generator",
    "start_numbers",
]

_SIDE, _SAMPLING, _NOISE = 1 << 61, 1 << 62, 1 << 63
"""Blocks of a seed's numbers, apart from those of the steps' draws."""


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
    """Draw all chance of one step. `private` and `prior` are `(how many to take, out of how many)`."""
    generator = _stream(seed, 1 + step)
    images = private[0] + prior[0]
    return Draw(
        private=generator.integers(private[1], size=private[0]),
        prior=generator.integers(max(1, prior[1]), size=prior[0]),
        timesteps=generator.integers(noise_levels, size=images),
        noise=generator.standard_normal((images, *latent_shape), dtype=np.float32),
    )


def draw_for(
    seed: int,
    step: int,
    *,
    taken: Int[np.ndarray, " batch"],
    each: int,
    prior: tuple[int, int],
    noise_levels: int,
    latent_shape: tuple[int, int, int],
) -> Draw:
    """Draw all chance of one step for private images that are chosen already, with `each` timesteps and noises an image."""
    generator = _stream(seed, 1 + step)
    images = len(taken) * each + prior[0]
    return Draw(
        private=taken,
        prior=generator.integers(max(1, prior[1]), size=prior[0]),
        timesteps=generator.integers(noise_levels, size=images),
        noise=generator.standard_normal((images, *latent_shape), dtype=np.float32),
    )


def poisson_sample(seed: int, step: int, rate: float, images: int) -> Int[np.ndarray, " taken"]:
    """Images that take part, each by a coin of its own."""
    return np.flatnonzero(_stream(seed, _SAMPLING + step).random(images) < rate)


def shuffled_sample(seed: int, step: int, size: int, images: int) -> Int[np.ndarray, " size"]:
    """The next `size` images in a random order of all. When all have been used, another order follows."""
    places = np.arange((step - 1) * size, step * size)
    orders = {epoch: _stream(seed, _SAMPLING + int(epoch)).permutation(images) for epoch in np.unique(places // images)}
    return np.array([orders[place // images][place % images] for place in places])


def gaussian_numbers(seed: int, step: int, size: int) -> Float[Tensor, " size"]:
    """Standard normal numbers, one for each number of an adapter."""
    return torch.from_numpy(_stream(seed, _NOISE + step).standard_normal(size, dtype=np.float64))


def side_generator(seed: int, step: int) -> np.random.Generator:
    """Generator for the chance that a defence adds to a step: words of a prompt, images of other people."""
    return _stream(seed, _SIDE + step)


def start_numbers(seed: int, size: int) -> Float[Tensor, " size"]:
    """Uniform numbers in [0, 1) for the factors at the start."""
    return torch.from_numpy(_stream(seed, 0).random(size, dtype=np.float32))


def _stream(seed: int, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed, counter=block << 192))
