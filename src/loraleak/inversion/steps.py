"""The fine-tuning step as an input of the encoder."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["StepEmbedding"]

_FREQUENCIES = 16
_FAR = 10_000.0
"""Step beyond which steps are not told apart."""


class StepEmbedding(nn.Module):
    """Sines of the step's logarithm, then a linear map. An unknown step (0) has a learned vector of its own.

    The embedding makes every snapshot of a run an example (Yao 2024, section 4); sines as in Vaswani et al. 2017.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(2 * _FREQUENCIES, width)
        self.unknown = nn.Parameter(torch.zeros(width))

    def forward(self, steps: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        place = steps.clamp(min=1).to(self.map.weight).log() / math.log(_FAR)
        angles = place[:, None] * math.pi * torch.arange(1, _FREQUENCIES + 1, device=steps.device)
        known = self.map(torch.cat([angles.sin(), angles.cos()], dim=1))
        return torch.where((steps > 0)[:, None], known, self.unknown)
