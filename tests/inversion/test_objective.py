"""The losses against one adapter at a time, and against closed forms."""

import torch
from torch.distributions import Normal, kl_divergence

from loraleak.bases import DiffusersBase
from loraleak.inversion.objective import caption_loss, decoding_loss
from loraleak.inversion.posterior import Posterior
from loraleak.inversion.weights import stack_adapters
from loraleak.types import Adapter, Factors
from oracles.adapters import random_adapter


def test_decoding_many_is_decoding_each_alone(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    adapters = [random_adapter(shapes, rank, rank, scale=0.1) for rank in (1, 2)]
    strength = torch.tensor([0.5, 1.0])
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, *base.condition_shape, generator=generator).requires_grad_()
    latents, noise = torch.randn(2, 2, 3, *base.latent_shape, generator=generator)
    times = torch.tensor([[1, 400, 999], [7, 70, 700]])
    loss = decoding_loss(base, stack_adapters(adapters, shapes), z, latents, times, noise, strength=strength)
    (gradient,) = torch.autograd.grad(loss, z)

    expected, weights = 0.0, base.schedule.weights
    for k, adapter in enumerate(adapters):
        weaker = {n: Factors(f.down, f.up, f.scale * float(strength[k])) for n, f in adapter.factors.items()}
        with base.adapted(Adapter(weaker, "memory")):
            predicted = base.predict(base.add_noise(latents[k], noise[k], times[k]), times[k], z[k].expand(3, -1, -1))
        error = (predicted - noise[k]).square().mean((1, 2, 3))
        expected = expected + (error * weights[times[k]] / weights.mean()).sum() / 6
    torch.testing.assert_close(loss, expected.float(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, z)[0], atol=1e-6, rtol=1e-3)


def test_divergence_is_torchs() -> None:
    posterior = Posterior(torch.randn(3, 4, 5), torch.randn(3, 4, 5))
    theirs = kl_divergence(Normal(posterior.mean, (posterior.log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.divergence(), theirs.mean((1, 2)))


def test_knowing_nothing_costs_one() -> None:
    captions = torch.randn(4000, 3, 2) * 5 + 1
    mean = captions.mean(0).expand_as(captions)
    torch.testing.assert_close(caption_loss(mean, captions, captions.std(0)), torch.tensor(1.0), atol=1e-3, rtol=0)
