"""Features from thin factors, beside the dense update."""

import numpy as np
import pytest
import torch

from loraleak.inversion.weights import stack_adapters
from loraleak.readers.features import probed, probes_of, singular_values, spectra
from loraleak.types import StackedFactors
from oracles.planted_adapters import SHAPES, made_adapter


@pytest.fixture
def weights() -> StackedFactors:
    return stack_adapters([made_adapter("round", 5, 1), made_adapter("none", 9, 2)], SHAPES)


def test_spectra_are_those_of_the_dense_update(weights: StackedFactors) -> None:
    found = spectra(weights, list(SHAPES))
    for m, name in enumerate(SHAPES):
        dense = weights.up[name] @ weights.down[name]
        for k in range(2):
            values = np.linalg.svd(dense[k].double().numpy(), compute_uv=False)[:3]
            assert singular_values(weights.down[name], weights.up[name])[k].tolist() == pytest.approx(values.tolist(), rel=1e-4)
            shares = values / np.sqrt(np.square(values).sum())
            entropy = -(shares**2 * np.log(shares**2)).sum()
            slow = [np.log(np.sqrt(np.square(values).sum())), *np.log(shares), np.log(1e-3), entropy]
            assert found[k, m].tolist() == pytest.approx(slow, abs=1e-4)


def test_features_stay_when_factors_are_turned(weights: StackedFactors) -> None:
    turn = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)) + 3 * torch.eye(3)
    down = {name: torch.linalg.inv(turn) @ value for name, value in weights.down.items()}
    turned = StackedFactors(down, {name: value @ turn for name, value in weights.up.items()}, weights.scales, weights.ranks)
    probes = probes_of([weights], SHAPES, 4)
    assert torch.allclose(probed(weights, probes), probed(turned, probes), atol=1e-4)
    assert torch.allclose(spectra(weights, list(SHAPES)), spectra(turned, list(SHAPES)), atol=1e-4)


def test_probed_updates_are_those_of_the_dense_update(weights: StackedFactors) -> None:
    probes = probes_of([weights], SHAPES, 4)
    for m, name in enumerate(SHAPES):
        dense = weights.up[name] @ weights.down[name]
        slow = probes.left[name].T @ dense @ probes.right[name] / dense.flatten(1).norm(dim=1)[:, None, None]
        assert torch.allclose(probed(weights, probes)[:, m], slow.flatten(1), atol=1e-5)
