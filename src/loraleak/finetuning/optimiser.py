"""AdamW over many adapters at once."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["StackedAdamW", "clip_by_adapter"]


class StackedAdamW:
    """AdamW (Loshchilov and Hutter 2019) of `[adapters, size]`, like torch's, with a learning rate for each adapter."""

    def __init__(
        self,
        learning_rates: Float[Tensor, " adapters"],
        values: Float[Tensor, "adapters size"],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.learning_rates = learning_rates
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay
        self.first, self.second = torch.zeros_like(values), torch.zeros_like(values)
        self.steps = 0

    def keep(self, count: int) -> None:
        """Keep the first `count` adapters and drop the others."""
        self.learning_rates, self.first, self.second = self.learning_rates[:count], self.first[:count], self.second[:count]

    @torch.no_grad()
    def step(self, values: Float[Tensor, "adapters size"], gradients: Float[Tensor, "adapters size"]) -> None:
        """Change `values` in place."""
        self.steps += 1
        rates = self.learning_rates.view(-1, 1)
        values.mul_(1 - rates * self.weight_decay)
        self.first.lerp_(gradients, 1 - self.betas[0])
        self.second.mul_(self.betas[1]).addcmul_(gradients, gradients, value=1 - self.betas[1])
        spread = self.second.sqrt().div_((1 - self.betas[1] ** self.steps) ** 0.5).add_(self.epsilon)
        values.sub_(self.first.div(spread).mul_(rates / (1 - self.betas[0] ** self.steps)))


@torch.no_grad()
def clip_by_adapter(gradients: Float[Tensor, "adapters size"], max_norms: Float[Tensor, " adapters"]) -> None:
    """Scale each adapter's gradient in place to its largest norm, like `torch.nn.utils.clip_grad_norm_` on each alone."""
    gradients.mul_((max_norms / (gradients.norm(dim=1) + 1e-6)).clamp_(max=1).view(-1, 1))
