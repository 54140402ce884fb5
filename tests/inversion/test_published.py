"""The published encoder is the published network: layer by layer against a slow reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase, StableDiffusion
from loraleak.errors import UsageError
from loraleak.inversion.published import PublishedEncoder, PublishedShape
from loraleak.inversion.weights import stack_adapters
from loraleak.types import Adapter
from oracles.adapters import random_adapter
from oracles.published_encoder import Published, published

RANK = 5
STEPS = torch.tensor([3, 421])


@pytest.fixture
def encoder(base: DiffusersBase) -> PublishedEncoder:
    assert isinstance(base, StableDiffusion)
    base.text_encoder.double()
    torch.manual_seed(0)
    shapes = {name: s for name, s in base.modules.items() if ".attn" in name and name.startswith("unet.")}
    return PublishedEncoder(shapes, base.condition_shape, PublishedShape(rank=RANK), base.transform, steps=True).double()


@pytest.fixture
def adapters(encoder: PublishedEncoder) -> list[Adapter]:
    return [random_adapter(encoder.shapes, RANK, seed, scale=2.0) for seed in range(2)]


def _weights(adapters: list[Adapter], encoder: PublishedEncoder):
    return stack_adapters(adapters, encoder.shapes).to(torch.float64)


def _reference(encoder: PublishedEncoder, adapter: Adapter, step: int, base: DiffusersBase) -> Published:
    networks: list[dict] = [{} for _ in encoder._order]
    for group, places in zip(encoder.matrices, encoder._places, strict=True):
        for k, place in enumerate(places):
            convolutions = [layer[2] for layer in group.layers]
            networks[place] = {
                "weights": [c.weight.detach().chunk(len(places))[k].numpy() for c in convolutions],
                "biases": [c.bias.detach().chunk(len(places))[k].numpy() for c in convolutions],
                "projection": group.projection[k].detach().numpy(),
                "bias": group.projection_bias[k, 0].detach().numpy(),
            }
    rest = {name: value.numpy() for name, value in encoder.state_dict().items() if not name.startswith("matrices.")}
    rest |= {f"step.{k}.{n}": rest[f"steps.perceptron.{2 * k - 2}.{n}"] for k in (1, 2) for n in ("weight", "bias")}
    trunk = getattr(base.text_encoder, "text_model", base.text_encoder)
    rest |= {name: value.double().numpy() for name, value in trunk.state_dict().items()}
    assert trunk.config.hidden_act == "quick_gelu"
    heads = trunk.config.num_attention_heads
    return published(adapter.factors, step, networks, rest, tokens=encoder.condition[0], heads=heads)


def test_every_layer_is_that_of_the_published_network(
    base: DiffusersBase, encoder: PublishedEncoder, adapters: list[Adapter]
) -> None:
    weights = _weights(adapters, encoder)
    with torch.no_grad():
        tokens, posterior = encoder.tokens(weights, STEPS), encoder(weights, STEPS)
        states = encoder._trunk[0](encoder.norm(tokens))
    matrices = encoder._matrices(weights)
    for k, adapter in enumerate(adapters):
        expected = _reference(encoder, adapter, int(STEPS[k]), base)
        for group, places in zip(encoder.matrices, encoder._places, strict=True):
            found = torch.cat([matrices[place] for place in places], dim=1)
            assert len(group.layers) == 8
            for number, layer in enumerate(group.layers):
                with torch.no_grad():
                    found = layer(found)
                for part, place in zip(found[k].chunk(len(places)), places, strict=True):
                    np.testing.assert_allclose(part.numpy(), expected.layers[place][number], atol=1e-8)
        for found, wanted in (
            (tokens[k], expected.tokens),
            (states[k], expected.states),
            (posterior.mean[k], expected.mean),
            (posterior.log_variance[k], expected.log_variance),
        ):
            np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_z_is_drawn_at_attack_time_too(encoder: PublishedEncoder, adapters: list[Adapter]) -> None:
    weights = _weights(adapters, encoder)
    with torch.no_grad():
        first, again, other = (encoder.z(weights, STEPS, seed=seed) for seed in (1, 1, 2))
        mean = encoder(weights, STEPS).mean
    assert torch.equal(first, again) and not torch.allclose(first, other)
    encoder.drawn = False
    with torch.no_grad():
        assert torch.equal(encoder.z(weights, STEPS, seed=1), mean)


def test_departures_are_settings(base: DiffusersBase, encoder: PublishedEncoder, adapters: list[Adapter]) -> None:
    weights = _weights(adapters, encoder)
    louder = replace(weights, scales=2 * weights.scales)
    longer = replace(weights, up={name: 1e3 * value for name, value in weights.up.items()})
    with torch.no_grad():
        plain = encoder.tokens(weights, STEPS)
        assert torch.equal(encoder.tokens(louder, STEPS), plain)
        much_longer = encoder.tokens(replace(longer, up={n: 1e3 * v for n, v in longer.up.items()}), STEPS)
        torch.testing.assert_close(encoder.tokens(longer, STEPS), much_longer, atol=1e-3, rtol=1e-3)
        for changed in ({"normalised": False}, {"scaled": True}):
            shape = replace(encoder.shape, **changed)
            other = PublishedEncoder(encoder.shapes, encoder.condition, shape, base.transform, steps=True).double()
            other.load_state_dict(encoder.state_dict())
            assert not torch.allclose(other.tokens(weights, STEPS), plain, atol=1e-4)
    with pytest.raises(UsageError, match="fewer than the"):
        name = next(iter(encoder.shapes))
        PublishedEncoder({name: encoder.shapes[name]}, encoder.condition, encoder.shape, base.transform, steps=True)
