"""Our accountant against Google's, against closed forms, and against the scale that is known."""

from math import exp, sqrt

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as google
from opacus.accountants.utils import get_noise_multiplier
from scipy.stats import binom, norm

from loraleak.defences.accounting import gaussian_epsilon, gaussian_noise, noise_for, sampled_epsilon
from loraleak.defences.groups import GroupLoss, group_epsilon
from loraleak.errors import UsageError

_DELTA = 1e-5

_IMAGES = [
    *[(0.2, 1000, noise) for noise in (2.0, 4.1, 12.0, 60.0)],  # 5 images, one expected a step
    *[(0.05, 1000, noise) for noise in (0.9, 1.3, 4.0)],  # 20 images
    *[(0.01, 1000, noise) for noise in (0.5, 0.62, 2.0)],  # 100 images
    *[(0.8, 250, noise) for noise in (4.0, 16.0)],  # 5 images, four expected
    (1.0, 250, 10.0),
]
_GROUPS = [
    (0.2, 1000, 4.1, 5),
    (0.2, 250, 40.0, 5),
    (0.8, 250, 60.0, 5),
    (0.05, 250, 8.0, 20),
    (0.04, 250, 20.0, 100),
    (0.5, 1, 1.0, 3),
    (1.0, 100, 50.0, 5),
]


@pytest.mark.parametrize(("rate", "steps", "noise"), _IMAGES)
def test_an_image_costs_what_a_second_accountant_says(rate: float, steps: int, noise: float) -> None:
    theirs = google.from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=1e-3)
    expected = theirs.self_compose(steps).get_epsilon_for_delta(_DELTA)
    assert sampled_epsilon(noise, rate, steps, _DELTA) == pytest.approx(expected, rel=0.05)
    assert sampled_epsilon(noise, rate, steps, _DELTA) > 0.995 * expected  # theirs is an upper bound too, a little coarser


@pytest.mark.parametrize(("rate", "steps", "noise", "group"), _GROUPS)
def test_a_person_costs_what_a_second_accountant_says(rate: float, steps: int, noise: float, group: int) -> None:
    counts = np.arange(group + 1)
    weights = binom.pmf(counts, group, rate)
    likely = weights > 1e-18
    theirs = google.from_mixture_gaussian_mechanism(
        noise, counts[likely].tolist(), weights[likely].tolist(), value_discretization_interval=4e-3
    )
    expected = theirs.self_compose(steps).get_epsilon_for_delta(_DELTA)
    ours = sampled_epsilon(noise, rate, steps, _DELTA, group=group)
    assert 0.99 * expected < ours < 1.05 * expected
    assert ours > sampled_epsilon(noise, rate, steps, _DELTA)


def test_hardly_any_noise_is_told_as_no_promise_and_never_as_less_than_more_noise() -> None:
    hardly, little = (sampled_epsilon(noise, 0.2, 50, _DELTA, group=20) for noise in (1e-4, 0.25))
    assert little < sampled_epsilon(0.19, 0.2, 50, _DELTA, group=20) < hardly
    assert hardly == pytest.approx((20 * 50**0.5 / 1e-4) ** 2 / 2, rel=1e-3)


def test_a_group_of_one_is_one_image_by_either_way() -> None:
    for noise, rate, steps in ((4.1, 0.2, 1000), (1.3, 0.05, 1000), (8.0, 0.8, 250)):
        other = group_epsilon(GroupLoss(noise, rate, 1), steps, _DELTA)
        assert sampled_epsilon(noise, rate, steps, _DELTA) == pytest.approx(other, rel=0.01)


@pytest.mark.filterwarnings("ignore:Optimal order")
@pytest.mark.parametrize(("images", "near"), [(5, 4.1), (20, 1.3), (100, 0.62)])
def test_the_known_scale(images: int, near: float) -> None:
    """Epsilon 8 at delta 1e-5, 1,000 steps of one expected example: by the Renyi accountant that the known figures are of.

    Numerical composition needs a little less noise.
    """
    renyi = get_noise_multiplier(
        target_epsilon=8, target_delta=_DELTA, sample_rate=1 / images, steps=1000, accountant="rdp", epsilon_tolerance=0.001
    )
    assert renyi == pytest.approx(near, rel=0.05)
    ours = noise_for(8.0, 1 / images, 1000, _DELTA)
    assert 0.9 * near < ours <= renyi * 1.001
    assert 7.9 < sampled_epsilon(ours, 1 / images, 1000, _DELTA) <= 8


def test_one_release_is_exact() -> None:
    for noise in (0.3, 1.0, 5.0, 40.0):
        epsilon = gaussian_epsilon(noise, _DELTA)
        delta = norm.cdf(1 / (2 * noise) - epsilon * noise) - exp(epsilon) * norm.cdf(-1 / (2 * noise) - epsilon * noise)
        assert delta == pytest.approx(_DELTA, rel=1e-5)
        assert gaussian_noise(epsilon, _DELTA) == pytest.approx(noise, rel=1e-5)
    assert gaussian_epsilon(sqrt(2 * np.log(1.25 / _DELTA)) / 0.9, _DELTA) < 0.9  # the classical bound is looser
    assert gaussian_epsilon(1e6, _DELTA) == 0
    expected = google.from_gaussian_mechanism(2.0, value_discretization_interval=1e-4).get_epsilon_for_delta(_DELTA)
    assert gaussian_epsilon(2.0, _DELTA) == pytest.approx(expected, rel=1e-3)


def test_more_noise_or_fewer_steps_cost_less() -> None:
    assert (
        sampled_epsilon(4.0, 0.2, 500, _DELTA)
        < sampled_epsilon(4.0, 0.2, 1000, _DELTA)
        < sampled_epsilon(3.0, 0.2, 1000, _DELTA)
    )
    assert sampled_epsilon(0.0, 0.2, 1, _DELTA) == float("inf")


def test_what_has_no_epsilon_is_said() -> None:
    with pytest.raises(UsageError, match=r"no epsilon for shuffle sampling: .* train with sampling=poisson"):
        sampled_epsilon(1.0, 0.2, 100, _DELTA, sampling="shuffle")
    with pytest.raises(UsageError, match="no epsilon for shuffle"):
        noise_for(8.0, 0.2, 100, _DELTA, sampling="shuffle")
    with pytest.raises(UsageError, match=r"delta is 2, .*; the sampling rate is 1\.5"):
        sampled_epsilon(1.0, 1.5, 100, 2.0)
    with pytest.raises(UsageError, match="epsilon is -1"):
        noise_for(-1.0, 0.2, 100, _DELTA)
    with pytest.raises(UsageError, match="needs a noise multiplier above"):
        noise_for(1e-9, 1.0, 10**6, _DELTA)
