"""What readers see of an adapter: numbers that no change of its factors with the same product `B A` changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.inversion import ProbeStatistics
from loraleak.readers.contents import SPECTRUM
from loraleak.types import StackedFactors

__all__ = ["Probes", "probed", "probes_of", "singular_values", "spectra"]

_TINY = 1e-8
_VALUES = SPECTRUM - 2
"""Singular values beside the norm and the effective rank."""


@dataclass(frozen=True)
class Probes:
    """Directions on either side of each module's update, `[d_out, probes]` and `[d_in, probes]` by module."""

    left: Mapping[str, Float[Tensor, "d_out probes"]]
    right: Mapping[str, Float[Tensor, "d_in probes"]]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Sizes `(d_out, d_in)` of the modules that are read."""
        return {name: (len(left), len(self.right[name])) for name, left in self.left.items()}


def probes_of(batches: Iterable[StackedFactors], shapes: Mapping[str, torch.Size], count: int) -> Probes:
    """The `count` directions on either side in which the adapters' updates are largest, each adapter and module at norm 1. Where a
    side has fewer, zeros fill up."""
    moments = ProbeStatistics(shapes)
    for weights in batches:
        moments.add(weights)
    sides = [{name: _largest(value, count) for name, value in side.items()} for side in (moments.left, moments.right)]
    return Probes(*sides)


def probed(weights: StackedFactors, probes: Probes) -> Float[Tensor, "batch modules features"]:
    """`U^T dW V / |dW|` of each module, zeros where it changes nothing. No matrix `[d_out, d_in]` is formed."""
    parts = []
    for name, left in probes.left.items():
        down, up = weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1)
        norm = singular_values(down, up).square().sum(1).sqrt().clamp(min=_TINY)
        seen = torch.einsum("op,bor->bpr", left, up) @ (down @ probes.right[name])
        parts.append(seen.flatten(1) / norm[:, None])
    return torch.stack(parts, dim=1)


def spectra(weights: StackedFactors, names: Iterable[str]) -> Float[Tensor, "batch modules spectrum"]:
    """Of each module: the logarithm of the update's norm, those of its four largest singular values as shares of the norm, and
    that of its effective rank, the exponential of the entropy of the squared shares (Roy and Vetterli 2007)."""
    parts = []
    for name in names:
        down, up = weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1)
        values = singular_values(down, up)
        norm = values.square().sum(1, keepdim=True).sqrt()
        shares = values / norm.clamp(min=_TINY)
        entropy = -torch.special.xlogy(shares.square(), shares.square()).sum(1, keepdim=True)
        largest = torch.nn.functional.pad(shares[:, :_VALUES], (0, max(0, _VALUES - shares.shape[1])))
        parts.append(torch.cat([norm.clamp(min=_TINY).log(), largest.clamp(min=1e-3).log(), entropy], dim=1))
    return torch.stack(parts, dim=1)


def singular_values(
    down: Float[Tensor, "batch rank d_in"], up: Float[Tensor, "batch d_out rank"]
) -> Float[Tensor, "batch values"]:
    """Singular values of `B A`, the largest first, from QR of the thin factors."""
    outer, inner = torch.linalg.qr(up, mode="r")[1], torch.linalg.qr(down.transpose(1, 2), mode="r")[1]
    return torch.linalg.svdvals(outer @ inner.transpose(1, 2))


def _largest(moments: Float[Tensor, "d d"], count: int) -> Float[Tensor, "d probes"]:
    directions = torch.linalg.eigh(moments)[1][:, -count:].flip(1)
    return torch.nn.functional.pad(directions, (0, count - directions.shape[1]))
