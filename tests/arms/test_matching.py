"""Matching updates: the gradient is that of training, and guesses come to match."""

import torch

from loraleak.arms import MatchingUpdates, Scene
from loraleak.arms.matching import guess, guessed_start, mismatch
from loraleak.bases import DiffusersBase
from loraleak.bases.stacked_layers import Stack
from loraleak.types import Adapter, Factors


def _setting(base: DiffusersBase) -> tuple[Stack, torch.Tensor, torch.Tensor, torch.Tensor]:
    shapes = {name: shape for name, shape in base.modules.items() if name.endswith("to_v")}
    stack = Stack(shapes, [2], [1.0], next(base.unet.parameters()))
    generator = torch.Generator().manual_seed(0)
    stack.start([torch.rand(stack.width(0), generator=generator)])
    latents, noise = torch.randn(2, 3, *base.latent_shape, generator=generator)
    return stack, latents, noise, torch.tensor([10, 400, 900])


def test_the_true_pictures_match_a_step_of_gradient_descent(base: DiffusersBase) -> None:
    stack, latents, noise, times = _setting(base)
    condition = base.embed(["a photo of zqkv person"])
    adapter = Adapter(stack.factors(0), "memory")
    with base.adapted(adapter):
        layers = [m for m in base.unet.modules() if hasattr(m, "lora_B") and "loraleak" in m.lora_B]
        ups = [layer.lora_B["loraleak"].weight.requires_grad_() for layer in layers]
        predicted = base.predict(base.add_noise(latents, noise, times), times, condition.expand(3, -1, -1))
        steps = [-g[None] for g in torch.autograd.grad((predicted - noise).square().mean(), ups)]
    assert mismatch(base, stack, steps, latents, condition, times, noise) < 1e-4
    other = torch.randn(latents.shape, generator=torch.Generator().manual_seed(9))
    assert mismatch(base, stack, steps, other, condition, times, noise) > 0.05


def test_guesses_come_nearer_and_are_what_is_drawn(base: DiffusersBase) -> None:
    stack, *_ = _setting(base)
    generator = torch.Generator().manual_seed(1)
    factors = {name: Factors(f.down, torch.randn(f.up.shape, generator=generator), 1.0) for name, f in stack.factors(0).items()}
    scene = Scene(base, Adapter(factors, "memory"))
    wanted = [f.up[None] for f in factors.values()]
    times, noise = torch.tensor([100, 500, 800, 300]), torch.randn(4, *base.latent_shape, generator=generator)
    condition = base.embed([scene.class_prompt])
    early, late = (guess(scene, guesses=4, iterations=n, rate=0.1) for n in (1, 40))
    assert mismatch(base, stack, wanted, late, condition, times, noise) < mismatch(
        base, stack, wanted, early, condition, times, noise
    )
    with base.adapted(scene.adapter):
        denoiser = MatchingUpdates(guesses=2, iterations=1).denoiser(scene)
        drawn = guess(scene, guesses=2, iterations=1, rate=0.1)
        noisy = base.add_noise(drawn, noise[:2], torch.tensor([600, 600]))
        torch.testing.assert_close(denoiser(noisy, 600), noise[:2], atol=1e-4, rtol=1e-4)


def test_only_the_true_start_lets_the_true_pictures_match(base: DiffusersBase) -> None:
    stack, latents, noise, times = _setting(base)
    condition = base.embed(["a photo of zqkv person"])
    ups = list(stack.up.values())
    with base.stacked(stack):
        predicted = base.predict(base.add_noise(latents, noise, times), times, condition.expand(3, -1, -1))
        steps = [-g for g in torch.autograd.grad((predicted - noise).square().mean(), ups)]
    scene = Scene(base, Adapter(stack.factors(0), "memory"), seed=5)
    assert mismatch(base, stack, steps, latents, condition, times, noise) < 1e-4
    with torch.no_grad():
        for name, start in guessed_start(scene).items():
            assert abs(start.std() / stack.down[name].std() - 1) < 0.5
            stack.down[name].copy_(start[None])
    assert mismatch(base, stack, steps, latents, condition, times, noise) > 0.1
    with base.adapted(scene.adapter):
        assert MatchingUpdates(guesses=2, iterations=1, start="guessed").denoiser(scene) is not None
