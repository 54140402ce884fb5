"""The published encoder: a small network for each LoRA matrix, then the base's own frozen text transformer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.errors import BaseMismatchError
from loraleak.inversion.encoder import Encoder
from loraleak.inversion.posterior import Posterior
from loraleak.inversion.steps import StepEmbedding
from loraleak.types import StackedFactors

__all__ = ["ConvClipEncoder", "ConvClipShape", "Trunk"]

Trunk = Callable[[Float[Tensor, "batch count dim"]], Float[Tensor, "batch count dim"]]
"""The base's frozen text transformer (`StableDiffusion.transform`)."""


@dataclass(frozen=True)
class ConvClipShape:
    """Sizes of the encoder."""

    rank: int = 16
    """Highest rank that is read; lower ones are filled up with zeros."""
    channels: int = 4
    kernel: int = 3


class ConvClipEncoder(Encoder):
    """The encoder of Yao 2024, section 4. Convolutions and a linear map turn each matrix, with its rank axis as channels, into
    one token. A task token and the step's embedding are added, and the text transformer mixes the tokens. The first tokens, as
    many as a prompt has, give mean and log-variance.

    A and B are read as they are, so the same function written as `B M^-1, M A` gives another z.
    """

    def __init__(
        self, shapes: Mapping[str, torch.Size], condition: tuple[int, int], shape: ConvClipShape, trunk: Trunk, *, steps: bool
    ) -> None:
        """`condition` is `[tokens, dim]` of z, `dim` also the trunk's width."""
        super().__init__()
        self.shapes, self.condition, self.shape = dict(shapes), condition, shape
        self._trunk = [trunk]  # the list hides the base's frozen transformer from torch, which would train and save it
        tokens, width = condition
        lengths = [length for s in shapes.values() for length in (prod(s[1:]), s[0])]
        self.matrices = nn.ModuleList(_matrix_network(length, width, shape) for length in lengths)
        self.fill = nn.Parameter(0.02 * torch.randn(max(0, tokens - len(lengths)), width))
        self.task = nn.Parameter(0.02 * torch.randn(width))
        self.positions = nn.Parameter(0.02 * torch.randn(len(lengths) + len(self.fill), width))
        self.steps = StepEmbedding(width) if steps else None
        self.mean = nn.Linear(width, width)
        self.log_variance = nn.Linear(width, width)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -4.0)

    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        matrices = [matrix for name in self.shapes for matrix in self._matrices(weights, name)]
        tokens = torch.stack([network(m) for network, m in zip(self.matrices, matrices, strict=True)], dim=1)
        tokens = torch.cat([tokens, self.fill.expand(len(tokens), -1, -1)], dim=1) + self.positions + self.task
        if self.steps is not None:
            tokens = tokens + self.steps(steps)[:, None]
        states = self._trunk[0](tokens)[:, : self.condition[0]]
        return Posterior(self.mean(states), self.log_variance(states))

    def _matrices(self, weights: StackedFactors, name: str) -> tuple[Tensor, Tensor]:
        down, up = weights.down[name].flatten(2), weights.up[name].transpose(1, 2) * weights.scales.view(-1, 1, 1)
        rank = down.shape[1]
        if int(weights.ranks.max()) > self.shape.rank:
            raise BaseMismatchError(
                f"the adapter has rank {int(weights.ranks.max())}, this attack reads ranks up to {self.shape.rank}: "
                "take an invariant attack, which reads any"
            )
        if rank > self.shape.rank:
            return down[:, : self.shape.rank], up[:, : self.shape.rank]
        fill = (0, 0, 0, self.shape.rank - rank)
        return nn.functional.pad(down, fill), nn.functional.pad(up, fill)


def _matrix_network(length: int, width: int, shape: ConvClipShape) -> nn.Sequential:
    padding = shape.kernel // 2
    return nn.Sequential(
        nn.Conv1d(shape.rank, shape.channels, shape.kernel, padding=padding),
        nn.GELU(),
        nn.Conv1d(shape.channels, 1, shape.kernel, padding=padding),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(length, width),
    )
