"""Attackers that a defence trains against: small networks that tell members by their loss, one for each adapter."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from loraleak.finetuning import StackedAdamW, side_generator

__all__ = ["Proxies"]

_HIDDEN = 32
_SHAPES = ((2, _HIDDEN), (1, _HIDDEN), (_HIDDEN, _HIDDEN), (1, _HIDDEN), (_HIDDEN, 1), (1, 1))


class Proxies:
    """Networks with two hidden layers, of an image's lowered error and the timestep. Each adapter has one row of `values`."""

    def __init__(self, seeds: Sequence[int], like: Tensor, learning_rate: float) -> None:
        self.values = torch.from_numpy(np.stack([_start(seed) for seed in seeds])).to(like)
        self.optimiser = StackedAdamW(self.values.new_full((len(seeds),), learning_rate), self.values)

    def keep(self, count: int) -> None:
        """Go on with the first `count` adapters."""
        self.values = self.values[:count]
        self.optimiser.keep(count)

    def gain(
        self,
        members: Float[Tensor, "adapters images 2"],
        others: Float[Tensor, "adapters images 2"],
        values: Float[Tensor, "adapters size"],
    ) -> Float[Tensor, " adapters"]:
        """The gain `(mean log h(member) + mean log (1 - h(other))) / 2`: 0 where the attacker is always right, -log 2 where it
        guesses. `values` are the networks', or a copy that stays while they train."""
        found = F.logsigmoid(self._logits(members, values)).mean(1) + F.logsigmoid(-self._logits(others, values)).mean(1)
        return found / 2

    def train(self, members: Float[Tensor, "adapters images 2"], others: Float[Tensor, "adapters images 2"]) -> None:
        """Take one step up the gain."""
        values = self.values.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(-self.gain(members, others, values).sum(), values)
        self.optimiser.step(self.values, gradient)

    def _logits(
        self, features: Float[Tensor, "adapters images 2"], values: Float[Tensor, "adapters size"]
    ) -> Float[Tensor, "adapters images"]:
        parts = values.split([prod(shape) for shape in _SHAPES], dim=1)
        first, first_bias, second, second_bias, last, last_bias = (
            part.view(-1, *shape) for part, shape in zip(parts, _SHAPES, strict=True)
        )
        hidden = F.silu(features @ first + first_bias)
        hidden = F.silu(hidden @ second + second_bias)
        return (hidden @ last + last_bias).squeeze(2)


def _start(seed: int) -> Float[np.ndarray, " size"]:
    """Values at the start: uniform within `1 / sqrt(fan_in)`, biases 0."""
    rng = side_generator(seed, 0)
    parts = [np.zeros(shape[1]) if shape[0] == 1 else rng.uniform(-1, 1, prod(shape)) / shape[0] ** 0.5 for shape in _SHAPES]
    return np.concatenate(parts)
