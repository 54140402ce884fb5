"""The published encoder: a network of convolutions for each LoRA matrix, then the base's own frozen text transformer."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loraleak.errors import BaseMismatchError, UsageError
from loraleak.inversion.encoder import Encoder
from loraleak.inversion.posterior import Posterior
from loraleak.types import StackedFactors

__all__ = ["PublishedEncoder", "PublishedShape", "Trunk"]

Trunk = Callable[[Float[Tensor, "batch count dim"]], Float[Tensor, "batch count dim"]]
"""The base's frozen text transformer (`StableDiffusion.transform`)."""


@dataclass(frozen=True)
class PublishedShape:
    """Sizes and departures. Every default is the published value."""

    rank: int = 16
    """Highest rank that is read; lower ones, of which the published code has none, are filled up with zeros."""
    blocks: int = 4
    """Blocks of two convolutions for each matrix."""
    kernel: int = 3
    normalised: bool = True
    """Give every row of a matrix mean 0 and variance 1 before each convolution. Sizes are then lost, and directions are kept."""
    scaled: bool = False
    """Read B times alpha / rank, not B alone."""
    drawn: bool = True
    """Draw z from its distribution at attack time too; otherwise z is the mean."""


class PublishedEncoder(Encoder):
    """The encoder of Yao 2024, section 4, as the authors' public code (dixiyao/dreambooth-leakage, commit 1bf23da) has it.

    Each matrix, with its shorter side as channels, becomes one token. A task token and the fine-tuning step come before them. The
    text transformer mixes all tokens; the first ones, as many as a prompt has, give mean and log-variance.

    A and B are read as they are, so the same function written as `B M^-1, M A` gives another z.
    """

    def __init__(
        self, shapes: Mapping[str, torch.Size], condition: tuple[int, int], shape: PublishedShape, trunk: Trunk, *, steps: bool
    ) -> None:
        """`condition` is `[tokens, dim]` of z, `dim` also the trunk's width. Without `steps` there is no token of the step.

        Raises: UsageError, if there are fewer matrices than z has tokens.
        """
        super().__init__()
        self.shapes, self.condition, self.shape, self.drawn = dict(shapes), condition, shape, shape.drawn
        self._trunk = [trunk]  # the list hides the base's frozen transformer from torch, which would train and save it
        tokens, width = condition
        places: dict[tuple[int, int], list[int]] = defaultdict(list)
        sides = [side for s in shapes.values() for side in ((shape.rank, prod(s[1:])), (s[0], shape.rank))]
        for place, (rows, columns) in enumerate(sides):
            places[min(rows, columns), max(rows, columns)].append(place)
        if len(sides) + 1 + steps < tokens:
            raise UsageError(
                f"the published encoder makes a token of each matrix, and {len(sides)} matrices are fewer than the {tokens} tokens "
                "of z: take invariant, or adapters of more modules"
            )
        self.matrices = nn.ModuleList(MatrixNetworks(len(p), *size, width, shape) for size, p in places.items())
        self._order = torch.tensor([place for p in places.values() for place in p]).argsort()
        self._places = list(places.values())
        self.task = nn.Parameter(torch.randn(width))
        self.steps = StepToken(width) if steps else None
        self.norm = nn.LayerNorm(width)
        self.mean = nn.Linear(width, width)
        self.log_variance = nn.Linear(width, width)

    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        states = self._trunk[0](self.norm(self.tokens(weights, steps)))[:, : self.condition[0]]
        return Posterior(self.mean(states), self.log_variance(states))

    def tokens(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Float[Tensor, "batch tokens dim"]:
        """Tokens of the task, the step and every matrix, before the layer norm.

        Raises: BaseMismatchError, if an adapter has a higher rank than the encoder reads.
        """
        matrices = self._matrices(weights)
        of_groups = [
            network(torch.stack([matrices[place] for place in places], dim=1))
            for network, places in zip(self.matrices, self._places, strict=True)
        ]
        tokens = [self.task.expand(len(steps), 1, -1)]
        if self.steps is not None:
            tokens.append(self.steps(steps)[:, None])
        return torch.cat([*tokens, torch.cat(of_groups, dim=1)[:, self._order]], dim=1)

    def _matrices(self, weights: StackedFactors) -> list[Float[Tensor, "batch _channels _length"]]:
        """A and B of each module, the shorter side first."""
        if int(weights.ranks.max()) > self.shape.rank:
            raise BaseMismatchError(
                f"the adapter has rank {int(weights.ranks.max())}, this attack reads ranks up to {self.shape.rank}: "
                "take an invariant attack, which reads any"
            )
        scales = weights.scales.view(-1, 1, 1) if self.shape.scaled else 1
        return [
            matrix if matrix.shape[1] <= matrix.shape[2] else matrix.transpose(1, 2)
            for name in self.shapes
            for matrix in (
                _of_rank(weights.down[name].flatten(2), self.shape.rank),
                _of_rank((weights.up[name] * scales).transpose(1, 2), self.shape.rank).transpose(1, 2),
            )
        ]


class MatrixNetworks(nn.Module):
    """The networks of all matrices of one size, each with weights of its own: a group of every convolution. Per block `[LeakyReLU,
    not in the first] InstanceNorm1d, Conv1d, LeakyReLU, InstanceNorm1d, Conv1d`, the last one to one channel, then tanh and a linear
    map."""

    def __init__(self, count: int, channels: int, length: int, width: int, shape: PublishedShape) -> None:
        super().__init__()
        self.count = count
        outputs = [channels] * (2 * shape.blocks - 1) + [1]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU() if layer else nn.Identity(),
                nn.InstanceNorm1d(count * channels) if shape.normalised else nn.Identity(),
                nn.Conv1d(count * channels, count * out, shape.kernel, padding=shape.kernel // 2, groups=count),
            )
            for layer, out in enumerate(outputs)
        )
        self.projection = _as_linear(length, count, length, width)
        self.projection_bias = _as_linear(length, count, 1, width)

    def forward(self, matrices: Float[Tensor, "batch count channels length"]) -> Float[Tensor, "batch count dim"]:
        states = matrices.flatten(1, 2)
        for layer in self.layers:
            states = layer(states)
        return torch.baddbmm(self.projection_bias, states.tanh().transpose(0, 1), self.projection).transpose(0, 1)


class StepToken(nn.Module):
    """Cosines and sines of the step's number, then a perceptron, as diffusion models embed their timestep (Ho et al. 2020). A step
    that is not known counts as 0."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.register_buffer("frequencies", 10_000.0 ** (-torch.arange(half) / half), persistent=False)
        self.perceptron = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, steps: Int[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        angles = steps[:, None] * self.frequencies
        embedded: Tensor = self.perceptron(torch.cat([angles.cos(), angles.sin()], dim=1))
        return embedded


def _of_rank(matrices: Float[Tensor, "batch _rank length"], rank: int) -> Float[Tensor, "batch rank length"]:
    return F.pad(matrices[:, :rank], (0, 0, 0, max(0, rank - matrices.shape[1])))


def _as_linear(inputs: int, *size: int) -> nn.Parameter:
    """Numbers as torch draws them for a linear layer."""
    return nn.Parameter((2 * torch.rand(size) - 1) / inputs**0.5)
