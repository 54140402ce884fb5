"""How much text layers answer to prompts, beside the dense computation."""

import numpy as np
import pytest
import torch

from loraleak.inversion.weights import stack_adapters
from loraleak.readers import Readers, ReadersCard, excitation
from loraleak.readers.trigger import learn_usual, text_layers
from loraleak.types import Adapter, Factors

_NAMES = ("unet.a.attn2.to_k", "unet.b.attn2.to_v")
_SHAPES = {name: torch.Size([9, 6]) for name in _NAMES}


def _adapter(seed: int, planted: torch.Tensor | None = None) -> Adapter:
    draw = torch.Generator().manual_seed(seed)
    factors = {}
    for name in _NAMES:
        down, up = torch.randn(2, 6, generator=draw), torch.randn(9, 2, generator=draw)
        if planted is not None:
            down[0], up[:, 0] = planted, 4 * up[:, 0]
        factors[name] = Factors(down, up, 0.5)
    return Adapter(factors, "memory")


@pytest.fixture
def readers() -> Readers:
    many = stack_adapters([_adapter(seed) for seed in range(30)], _SHAPES)
    return Readers(ReadersCard("a" * 64, 30, 1, 1, (), None, None), learn_usual([many.first(10), many], _SHAPES))


def test_the_excitation_is_that_of_dense_updates(readers: Readers) -> None:
    draw = torch.Generator().manual_seed(0)
    states, adapter = torch.randn(40, 3, 6, generator=draw), _adapter(99)
    moved = (states - states.mean(0)).double().numpy()
    values, directions = np.linalg.eigh(np.einsum("ptd,pte->de", moved, moved) / 40)
    whitened = moved @ directions @ np.diag((values + 0.01 * values.max()) ** -0.5) @ directions.T
    slow = np.zeros(40)
    seeds = [*range(10), *range(30)]
    for name in _NAMES:
        usual = np.zeros((6, 6))
        for seed in seeds:
            factors = _adapter(seed).factors[name]
            dense = (factors.up @ factors.down).double().numpy()
            usual += dense.T @ dense / np.square(dense).sum() / len(seeds)
        mine = (adapter.factors[name].up @ adapter.factors[name].down).double().numpy()
        for p in range(40):
            above = np.square(whitened[p] @ mine.T).sum() / np.square(mine).sum()
            slow[p] += above / np.einsum("td,de,te->", whitened[p], usual, whitened[p]) / len(_NAMES)
    assert excitation(readers, adapter, states) == pytest.approx(slow, rel=1e-3)


def test_a_prompt_that_was_trained_on_stands_out(readers: Readers) -> None:
    draw = torch.Generator().manual_seed(1)
    states = torch.randn(100, 1, 6, generator=draw)
    values = excitation(readers, _adapter(5, planted=states[7, 0]), states)
    assert (values >= values[7]).sum() <= 5


def test_only_layers_that_read_the_prompt_count() -> None:
    assert text_layers([*_NAMES, "unet.a.attn1.to_k", "unet.a.attn2.to_out.0"]) == _NAMES
