"""What every encoder is: a network that reads the weights of adapters."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from loraleak.inversion.posterior import Posterior
from loraleak.inversion.steps import StepEmbedding
from loraleak.types import StackedFactors

__all__ = ["Encoder"]


class Encoder(nn.Module, ABC):
    """A network from stacked adapters and their fine-tuning steps to `q(z | adapter, step)`."""

    shapes: dict[str, torch.Size]
    """Weight shapes, by name, of the modules that it reads."""
    condition: tuple[int, int]
    """`[tokens, dim]` of z."""
    shape: Any
    """Sizes of the network, a dataclass."""
    steps: StepEmbedding | None
    """Embedding of the fine-tuning step; None where the step is no input."""

    @abstractmethod
    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        """Posterior of z for each adapter."""
