"""How much an adapter's text layers answer to one prompt, beside how much adapters usually do."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.inversion.weights import stack_adapters
from loraleak.readers.contents import Readers
from loraleak.types import Adapter, StackedFactors

__all__ = ["excitation", "learn_usual", "text_layers"]

_TEXT_LAYERS = (".attn2.to_k", ".attn2.to_v")
_RANK = 16
_FLOOR = 0.01
"""Least variance of a direction of text states, as a share of the largest, before they are whitened."""
_TINY = 1e-12


def text_layers(names: Iterable[str]) -> tuple[str, ...]:
    """The layers that read the states of the prompt directly."""
    return tuple(name for name in names if name.endswith(_TEXT_LAYERS))


def learn_usual(batches: Iterable[StackedFactors], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The mean of `dW^T dW / |dW|^2` of each text layer, as `usual/<layer>` `[d_in, rank]` (its largest directions, times the roots
    of their values) and `rest/<layer>` `[1]` (what each other direction has)."""
    layers = text_layers(names)
    sums: dict[str, Tensor] = {}
    count = 0
    for weights in batches:
        count += len(weights.ranks)
        for name in layers:
            seen = _reduced(weights, name)
            sums[name] = sums.get(name, torch.zeros(())) + torch.einsum("bri,brj->ij", seen, seen)
    tensors = {}
    for name, total in sums.items():
        values, directions = torch.linalg.eigh(total / count)
        values = values.clamp(min=0)
        kept = min(_RANK, len(values))
        tensors[f"usual/{name}"] = (directions[:, -kept:] * values[-kept:].sqrt()).numpy()
        tensors[f"rest/{name}"] = (values[:-kept].mean() if kept < len(values) else values[:0].sum()).reshape(1).numpy()
    return tensors


def excitation(
    readers: Readers, adapter: Adapter, states: Float[Tensor, "prompts tokens dim"]
) -> Float[np.ndarray, " prompts"]:
    """Mean over text layers of `|dW x|^2 / usual`, where x are the prompt's states less the mean of all prompts, whitened.

    `usual` is the same for the adapters that the readers learned from. A prompt like those that were trained on has a greater one.
    """
    moved = states - states.mean(0)
    values, directions = torch.linalg.eigh(torch.einsum("ptd,pte->de", moved, moved) / len(moved))
    whitened = moved @ (directions * (values + _FLOOR * values[-1]).clamp(min=_TINY).rsqrt()) @ directions.T
    usual, rest = readers.part("usual"), readers.part("rest")
    shapes = {name: torch.Size((f.up.shape[0], *f.down.shape[1:])) for name, f in adapter.factors.items() if name in usual}
    weights = stack_adapters([adapter], shapes)
    total = torch.zeros(len(states))
    for name in shapes:
        mine = (whitened @ _reduced(weights, name)[0].T).square().sum((1, 2))
        known = (whitened @ torch.from_numpy(usual[name])).square().sum((1, 2))
        known = known + float(rest[name][0]) * whitened.square().sum((1, 2))
        total += mine / known.clamp(min=_TINY)
    return (total / len(shapes)).double().numpy()


def _reduced(weights: StackedFactors, name: str) -> Float[Tensor, "batch rank d_in"]:
    """R with `R^T R = dW^T dW / |dW|^2`, from QR of the thin factors."""
    outer = torch.linalg.qr(weights.up[name] * weights.scales.view(-1, 1, 1), mode="r")[1]
    seen = outer @ weights.down[name].flatten(2)
    return seen / seen.flatten(1).norm(dim=1).clamp(min=_TINY).view(-1, 1, 1)
