"""dW of adapters and of factors, in float64."""

from collections.abc import Mapping

import torch
from torch import Tensor

from loraleak.types import Adapter, Factors

__all__ = ["dense", "dense_of", "same_updates"]


def dense(factors: Factors) -> Tensor:
    """`scale * B A`, in the layer's shape; an unknown scale counts as 1."""
    scale = 1.0 if factors.scale is None else factors.scale
    product = factors.up.double().flatten(1) @ factors.down.double().flatten(1)
    return scale * product.reshape(-1, *factors.down.shape[1:])


def dense_of(adapter: Adapter) -> dict[str, Tensor]:
    return {name: dense(factors) for name, factors in adapter.factors.items()}


def same_updates(first: Adapter, second: Adapter, tolerance: float = 1e-12) -> None:
    """Same modules, same dW up to rounding, same knowledge of the scale, same magnitudes."""
    assert set(first.factors) == set(second.factors)
    _close(dense_of(first), dense_of(second), tolerance)
    assert first.scale_known == second.scale_known
    assert set(first.magnitudes) == set(second.magnitudes)
    _close(first.magnitudes, second.magnitudes, 0)


def _close(first: Mapping[str, Tensor], second: Mapping[str, Tensor], tolerance: float) -> None:
    for name, value in first.items():
        assert value.shape == second[name].shape, name
        worst = (value - second[name]).abs().max() / value.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        assert worst <= tolerance, (name, worst)
