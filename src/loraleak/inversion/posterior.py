"""The output of an encoder: a Gaussian over z."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Posterior"]


@dataclass(frozen=True)
class Posterior:
    """`q(z | weights, step)`, a diagonal Gaussian."""

    mean: Float[Tensor, "batch tokens dim"]
    log_variance: Float[Tensor, "batch tokens dim"]

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "batch tokens dim"]:
        """Draw one z for each adapter (Kingma and Welling 2014, eq. 4)."""
        noise = torch.randn(self.mean.shape, generator=generator, device="cpu").to(self.mean)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def divergence(self) -> Float[Tensor, " batch"]:
        """`KL(q || N(0, I))`, the mean over the elements of z, in nats (Kingma and Welling 2014, appendix B)."""
        each = 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)
        return each.flatten(1).mean(1)
