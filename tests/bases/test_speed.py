"""Seconds of a picture: counted FLOPs, and a measurement at a side that does not take long."""

import pytest
import torch
from torch import Tensor, nn

from loraleak.bases import DiffusersBase, speed
from loraleak.bases.speed import Speed, denoiser_flops, speed_of


def _by_hand(base: DiffusersBase) -> int:
    """2 FLOPs for each product of layers and of attention, from the shapes that go through the real model."""
    counted = [0]

    def layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Linear | nn.Conv2d)
        each = module.weight[0].numel()
        counted[0] += 2 * each * output.numel()

    def attention(query: Tensor, key: Tensor, value: Tensor, *rest: object, **named: object) -> Tensor:
        counted[0] += 4 * query.numel() * key.shape[-2]
        return usual(query, key, value)

    usual = nn.functional.scaled_dot_product_attention
    handles = [m.register_forward_hook(layer) for m in base.denoiser.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    nn.functional.scaled_dot_product_attention = attention
    try:
        with torch.no_grad():
            base.predict(torch.zeros(1, *base.latent_shape), torch.tensor([500]), torch.zeros(1, *base.condition_shape))
    finally:
        nn.functional.scaled_dot_product_attention = usual
        for handle in handles:
            handle.remove()
    return counted[0]


def test_flops_are_those_of_the_layers_and_of_attention(base: DiffusersBase) -> None:
    assert denoiser_flops(base) == pytest.approx(_by_hand(base), rel=1e-6)


def test_large_pictures_are_measured_at_a_smaller_side(base: DiffusersBase, monkeypatch: pytest.MonkeyPatch) -> None:
    base.resolution *= 4
    flops, sides = denoiser_flops(base), []

    def seconds(measured: DiffusersBase, resolution: int) -> float:
        sides.append(resolution)
        return denoiser_flops(measured, resolution) / 1e9

    monkeypatch.setattr(speed, "_seconds", seconds)
    monkeypatch.setattr(speed, "_ENOUGH", flops / 3)  # below it, a quarter of the picture
    measured = speed_of(base)
    assert sides == [base.resolution // 2]
    assert measured.denoising == pytest.approx(flops / 1e9)
    assert measured.decoding > 0
    assert speed_of(base) is measured and isinstance(measured, Speed)
