"""Random adapters, and the same adapters written with other factors."""

import torch

from loraleak.types import Adapter, Factors, StackedFactors


def random_adapter(shapes: dict[str, torch.Size], rank: int, seed: int, scale: float = 0.5) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    factors = {
        name: Factors(
            torch.randn(rank, *shape[1:], generator=generator),
            torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=generator),
            scale,
        )
        for name, shape in shapes.items()
    }
    return Adapter(factors=factors, format="memory")


def refactored(weights: StackedFactors, seed: int) -> StackedFactors:
    """The same functions, `B M^-1` and `M A` with random M."""
    generator = torch.Generator().manual_seed(seed)
    down, up = dict(weights.down), dict(weights.up)
    for name in down:
        rank = up[name].shape[-1]
        like = up[name]
        mixing = torch.eye(rank).to(like) + 0.5 * torch.randn(len(like), rank, rank, generator=generator).to(like)
        flat = mixing @ down[name].flatten(2)
        down[name], up[name] = flat.view_as(down[name]), up[name] @ torch.linalg.inv(mixing)
    return StackedFactors(down, up, weights.scales, weights.ranks)
