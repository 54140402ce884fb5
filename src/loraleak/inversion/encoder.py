"""What every encoder is: a network that reads the weights of adapters."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.inversion.posterior import Posterior
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
    steps: nn.Module | None
    """Embedding of the fine-tuning step; None where the step is no input."""
    drawn: bool = False
    """Whether z is drawn from its distribution; otherwise it is the mean."""

    @abstractmethod
    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        """Posterior of z for each adapter."""

    def z(self, weights: StackedFactors, steps: Int[Tensor, " batch"], *, seed: int = 0) -> Float[Tensor, "batch tokens dim"]:
        """z of each adapter: the mean, or what the seed draws."""
        posterior: Posterior = self(weights, steps)
        return posterior.sample(torch.Generator().manual_seed(seed)) if self.drawn else posterior.mean
