"""One noisy look at the private images, and what follows from it."""

from dataclasses import replace

import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences.accounting import gaussian_epsilon
from loraleak.defences.training.dp_mmd import DpMmd, FourierFeatures, _distance, _MmdTrainer
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.secrecy import secret_seed
from loraleak.finetuning.stacked import Job
from loraleak.types import Images

_RECIPE = Recipe(trigger="zqkv", rank=2, alpha=2.0, steps=3, class_count=4, prior_batch=1, batch=3, learning_rate=1e-2)


def test_features_have_norm_one_and_the_gaussian_kernel() -> None:
    points = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made = FourierFeatures(200_000, 4.0, points)(points)
    assert (made.norm(dim=1) - 1).abs().max() < 1e-12
    expected = (-torch.cdist(points.flatten(1), points.flatten(1)).square() / 32).exp()
    assert (made @ made.T - expected).abs().max() < 0.02


def test_one_image_more_moves_the_released_sum_by_one(base: DiffusersBase, private_images: Images) -> None:
    """Which is what the noise is measured by; without noise the release is the mean embedding."""
    settings = DpMmd(noise=0.0, features=64)
    jobs = [Job(private_images, _RECIPE), Job(private_images[:2], replace(_RECIPE, seed=1))]
    training = _MmdTrainer(base, jobs, settings=settings)
    phi = training.phi[0](base.encode(private_images))
    assert torch.allclose(training.released[0], phi.mean(0), atol=1e-6)
    assert (training.released[0] * 3 - training.released[1] * 2).norm() == pytest.approx(1, abs=1e-5)
    assert training.private.abs().sum() == 0  # nothing private is left for the steps


def test_the_release_has_the_stated_noise(base: DiffusersBase, private_images: Images) -> None:
    jobs = [Job(private_images, replace(_RECIPE, seed=seed)) for seed in range(6)]
    clean = _MmdTrainer(base, jobs, settings=DpMmd(noise=0.0, features=2000)).released
    noisy = _MmdTrainer(base, jobs, settings=DpMmd(noise=1.5, features=2000)).released
    noise = torch.stack([b - a for a, b in zip(clean, noisy, strict=True)]).double()
    assert noise.std() == pytest.approx(1.5 / 3, rel=0.04)
    assert float(torch.corrcoef(noise)[0, 1].abs()) < 0.1


def test_the_distance_is_unbiased() -> None:
    rng = torch.Generator().manual_seed(0)
    centre, target = torch.tensor([0.3, -0.2, 0.5]), torch.tensor([0.1, 0.4, 0.0])
    drawn = [_distance(centre + torch.randn(3, 3, generator=rng), target) for _ in range(4000)]
    assert float(torch.stack(drawn).mean()) == pytest.approx(float((centre - target).square().sum()), abs=0.1)


def test_it_trains_and_repeats(base: DiffusersBase, private_images: Images) -> None:
    jobs = [Job(private_images, _RECIPE), Job(private_images[:2], replace(_RECIPE, seed=1, steps=2))]
    defence = DpMmd(features=64)
    first, again = (list(defence.finetune_together(base, jobs, quiet=True)) for _ in range(2))
    assert [(s.job, s.step) for s in first] == [(1, 2), (0, 3)]
    for one, other in zip(first, again, strict=True):
        for name, factors in one.adapter.factors.items():
            assert torch.equal(factors.up, other.adapter.factors[name].up) and factors.up.abs().sum() > 0


def test_it_comes_nearer_to_what_was_released(base: DiffusersBase, private_images: Images) -> None:
    job = Job(private_images, replace(_RECIPE, steps=40, rank=4, alpha=4.0, batch=4, learning_rate=3e-3, prior_weight=0.01))
    training = _MmdTrainer(base, [job], settings=DpMmd(noise=0.0, features=256))

    def apart() -> float:
        with torch.no_grad(), base.stacked(training.stack):
            return float(torch.stack([training.losses(step) for step in range(1001, 1021)]).mean())

    before = apart()
    for step in range(1, 41):
        training.step(step)
    assert apart() < 0.99 * before


def test_what_may_be_claimed() -> None:
    recipe = replace(_RECIPE, seed=secret_seed())
    promised = DpMmd(epsilon=3.0).guarantee(recipe, 5)
    assert promised.epsilon_image == pytest.approx(3.0, rel=1e-4)
    assert promised.epsilon_person == gaussian_epsilon(DpMmd(epsilon=3.0).noise_multiplier / 5, 1e-5) > 15
    assert DpMmd(noise=0.0).guarantee(recipe, 5).epsilon_image is None
    published = DpMmd(noise=5e-5).guarantee(recipe, 5)  # of the size of what fits 60,000 examples
    assert published.epsilon_image is not None and published.epsilon_image > 1e6


def test_what_it_needs_is_said(base: DiffusersBase, private_images: Images) -> None:
    for recipe in (replace(_RECIPE, prior_batch=0), replace(_RECIPE, batch=1)):
        with pytest.raises(UsageError, match="give prior_batch and batch"):
            DpMmd().finetune_together(base, [Job(private_images, recipe)])
    with pytest.raises(UsageError, match=r"epsilon is -1, .*; features is 3"):
        DpMmd(epsilon=-1.0, features=3)
