"""Adapters side by side, as encoders read them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loraleak.errors import BaseMismatchError
from loraleak.finetuning import start_numbers
from loraleak.inversion.train_settings import Knowledge
from loraleak.types import Adapter, StackedFactors

__all__ = ["likeness_to_start", "shown", "since_start", "stack_adapters", "start_factors"]


def stack_adapters(adapters: Sequence[Adapter], shapes: Mapping[str, torch.Size]) -> StackedFactors:
    """Stack the adapters' factors for these modules, filled up with zeros to the highest rank.

    A module that an adapter lacks is zero, so it changes nothing. Where scales differ by module, they are multiplied into B. An
    unknown scale counts as 1, as when the adapter is run. Modules that are not in `shapes` are not read.
    Raises: BaseMismatchError, if none of the modules is in the adapter, or one has another shape.
    """
    for adapter in adapters:
        read = [name for name in adapter.factors if name in shapes]
        if not read:
            raise BaseMismatchError(
                f"none of the {len(adapter.factors)} modules of this adapter is one that the attack reads: "
                "take an attack that was trained on such adapters"
            )
        for name in read:
            factors = adapter.factors[name]
            have = (factors.up.shape[0], *factors.down.shape[1:])
            if have != tuple(shapes[name]):
                raise BaseMismatchError(
                    f"{name} is {list(have)} in the adapter, and the attack reads {list(shapes[name])}: "
                    "take an attack that was trained for the adapter's base"
                )
    ranks = [max(f.rank for name, f in adapter.factors.items() if name in shapes) for adapter in adapters]
    highest = max(ranks)
    down = {name: torch.zeros(len(adapters), highest, *shape[1:]) for name, shape in shapes.items()}
    up = {name: torch.zeros(len(adapters), shape[0], highest) for name, shape in shapes.items()}
    scales = torch.ones(len(adapters))
    for k, adapter in enumerate(adapters):
        known = {name: adapter.factors[name] for name in shapes if name in adapter.factors}
        of_modules = {name: 1.0 if factors.scale is None else factors.scale for name, factors in known.items()}
        if len(set(of_modules.values())) == 1:
            scales[k] = next(iter(of_modules.values()))
            of_modules = dict.fromkeys(of_modules, 1.0)
        for name, factors in known.items():
            down[name][k, : factors.rank] = factors.down.float()
            up[name][k, :, : factors.rank] = of_modules[name] * factors.up.float().reshape(len(up[name][k]), factors.rank)
    return StackedFactors(down, up, scales, torch.tensor(ranks))


def shown(
    weights: StackedFactors, knowledge: Knowledge, starts: Sequence[int] | Int[np.ndarray, " adapters"]
) -> StackedFactors:
    """The part of the factors that an encoder of this knowledge is shown. `starts` are the seeds of the factors A at the start."""
    return weights if knowledge == "file" else since_start(weights, starts)


def since_start(weights: StackedFactors, seeds: Sequence[int] | Int[np.ndarray, " adapters"]) -> StackedFactors:
    """The change `theta_s - theta_0`: A less the start that our fine-tuning draws from the seed (B starts at zero).

    This is the published method's input. People who download a file have no such seed, unless the file names it.
    """
    starts = start_factors(weights, seeds)
    down = {name: value - starts[name] for name, value in weights.down.items()}
    return StackedFactors(down, weights.up, weights.scales, weights.ranks)


def likeness_to_start(
    weights: StackedFactors, seeds: Sequence[int] | Int[np.ndarray, " adapters"]
) -> Float[Tensor, " adapters"]:
    """Cosine between the factors A of each adapter and those of this start, over all modules. Another start has about 0."""
    starts = start_factors(weights, seeds)
    mine, begun = (torch.cat([part[name].flatten(1) for name in starts], dim=1) for part in (weights.down, starts))
    return torch.cosine_similarity(mine, begun)


def start_factors(weights: StackedFactors, seeds: Sequence[int] | Int[np.ndarray, " adapters"]) -> dict[str, Tensor]:
    """Factors A at the start, as our fine-tuning draws them, `[adapters, rank, *d_in]` by module."""
    starts = {name: torch.zeros_like(value) for name, value in weights.down.items()}
    widths = {name: value[0, 0].numel() for name, value in starts.items()}
    for k, (seed, rank) in enumerate(zip(seeds, weights.ranks.tolist(), strict=True)):
        numbers = start_numbers(int(seed), rank * sum(widths.values()))
        parts = numbers.split([rank * width for width in widths.values()])
        for (name, width), part in zip(widths.items(), parts, strict=True):
            starts[name][k, :rank] = ((2 * part - 1) / width**0.5).view_as(starts[name][k, :rank])
    return starts
