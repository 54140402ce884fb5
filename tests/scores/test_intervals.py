"""Bootstrap intervals, against scipy's, the normal closed form, and their promise to cover."""

import numpy as np
import pytest
from scipy import stats

from loraleak.scores import bootstrap_mean, exact_share, paired_difference


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    ours = bootstrap_mean(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", random_state=1).confidence_interval
    assert ours.mean == pytest.approx(values.mean(), abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_interval_of_many_values_is_the_normal_one(level: float) -> None:
    values = np.random.default_rng(1).normal(3, 2, size=800)
    interval = bootstrap_mean(values, level=level)
    half = stats.norm.ppf((1 + level) / 2) * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.012)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.012)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    intervals = [bootstrap_mean(rng.normal(size=50), seed=seed, resamples=400) for seed in range(400)]
    covered = np.mean([i.low <= 0 <= i.high for i in intervals])
    assert covered == pytest.approx(0.94, abs=0.03)  # a percentile interval of 50 values falls short of 95% by about 1%


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(3).normal(size=20)
    assert bootstrap_mean(values, seed=4) == bootstrap_mean(values, seed=4) != bootstrap_mean(values, seed=5)


@pytest.mark.parametrize("values", [np.array([0.25]), np.full(9, 0.25, np.float32)])
def test_without_spread_the_interval_has_no_width(values: np.ndarray) -> None:
    interval = bootstrap_mean(values)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.25, 0.25, 0.25))


def test_a_paired_difference_forgets_what_victims_share() -> None:
    rng = np.random.default_rng(5)
    victim = rng.normal(scale=10, size=30)
    noise = rng.normal(scale=0.1, size=30)
    gain = paired_difference(victim + 0.5 + noise, victim)
    alone = bootstrap_mean(0.5 + noise)
    assert (gain.mean, gain.low, gain.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert 0.4 < gain.low < 0.5 + noise.mean() < gain.high < 0.6
    nothing = paired_difference(victim, victim)
    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0)


@pytest.mark.parametrize("victims", [4, 30])
def test_a_share_of_none_or_all_has_an_interval_with_a_width(victims: int) -> None:
    none, every = exact_share(0, victims), exact_share(victims, victims)
    assert (none.mean, none.low) == (0, 0) and none.high == pytest.approx(1 - 0.025 ** (1 / victims))
    assert (every.mean, every.high) == (1, 1) and every.low == pytest.approx(0.025 ** (1 / victims))
    half = exact_share(victims // 2, victims)
    assert half.low < half.mean == 0.5 < half.high
