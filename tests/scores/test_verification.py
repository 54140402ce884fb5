"""Areas, thresholds and accept rates, against brute force over all pairs."""

import numpy as np
import pytest

from loraleak.scores import auc, true_accept_rate
from loraleak.scores.verification import accept_threshold


def _brute_auc(genuine: np.ndarray, impostor: np.ndarray) -> float:
    return float(np.mean([(g > i) + 0.5 * (g == i) for g in genuine for i in impostor]))


def _brute_threshold(impostor: np.ndarray, percent: int) -> float:
    allowed = percent * len(impostor) // 100
    return min(float(t) for t in impostor if sum(other > t for other in impostor) <= allowed)


@pytest.mark.parametrize("decimals", [1, 8], ids=["ties", "no ties"])
def test_auc_is_the_share_of_pairs_in_the_right_order(decimals: int) -> None:
    rng = np.random.default_rng(0)
    for n, m in [(1, 1), (1, 30), (20, 7), (40, 50)]:
        genuine, impostor = rng.normal(0.5, 1, n).round(decimals), rng.normal(0, 1, m).round(decimals)
        assert auc(genuine, impostor) == pytest.approx(_brute_auc(genuine, impostor), abs=1e-12)


def test_auc_at_its_ends_and_for_an_embedder_that_knows_nothing() -> None:
    low, high = np.array([0.0, 0.1]), np.array([0.2, 0.3, 0.4])
    assert (auc(high, low), auc(low, high)) == (1.0, 0.0)
    assert auc(np.ones(5), np.ones(9)) == 0.5


def test_auc_is_blind_to_any_rising_scale() -> None:
    rng = np.random.default_rng(1)
    genuine, impostor = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    assert auc(np.exp(genuine), np.exp(impostor)) == auc(genuine, impostor)


@pytest.mark.parametrize("size", [1, 7, 100, 130])
@pytest.mark.parametrize("decimals", [1, 8], ids=["ties", "no ties"])
def test_the_threshold_is_the_smallest_that_keeps_the_promise(size: int, decimals: int) -> None:
    impostor = np.random.default_rng(size).normal(size=size).round(decimals)
    for percent in (0, 1, 5, 29, 50, 58, 99, 100):
        assert accept_threshold(impostor, percent / 100) == _brute_threshold(impostor, percent)


def test_the_accept_rate_is_the_share_above_the_threshold() -> None:
    rng = np.random.default_rng(2)
    genuine, impostor = rng.normal(2, 1, 500), rng.normal(0, 1, 1000)
    threshold = _brute_threshold(impostor, 1)
    assert sum(i > threshold for i in impostor) == 10
    assert true_accept_rate(genuine, impostor) == sum(g > threshold for g in genuine) / 500


def test_a_constant_embedder_accepts_nobody() -> None:
    assert true_accept_rate(np.ones(10), np.ones(100), false_accepts=0.01) == 0.0


def test_unrelated_people_are_accepted_as_often_as_impostors() -> None:
    rng = np.random.default_rng(3)
    rate = true_accept_rate(rng.normal(size=20_000), rng.normal(size=20_000), false_accepts=0.05)
    assert rate == pytest.approx(0.05, abs=0.01)
