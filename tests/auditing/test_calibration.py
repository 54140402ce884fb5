"""Posteriors: against a case whose likelihood ratio is known, within what the data can support, and never without a calibration."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from loraleak.assets import POCKET_KIT
from loraleak.auditing.calibration import (
    calibration_for,
    fit_calibration,
    posterior,
    reliability,
    rounded,
)
from loraleak.kits import SamplingSetup, read_kit

SETUP = SamplingSetup("b" * 64, "pocket", "a photo of a person", 20, 3.0, "a")
ATTACKS = ("lora-class", "lora-z")


def _drawn(seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of two normal distributions a distance of 2 apart, whose log likelihood ratio is `2 t - 2`."""
    rng = np.random.default_rng(seed)
    return rng.normal(2.0, 1.0, count), rng.normal(0.0, 1.0, count)


def test_the_fit_finds_a_likelihood_ratio_that_is_known() -> None:
    fitted = fit_calibration(*_drawn(0), SETUP, ATTACKS, images=8, photos=5)
    assert (fitted.intercept, fitted.slope) == pytest.approx((-2.0, 2.0), abs=0.15)


def test_the_fit_agrees_with_scikit_learn() -> None:
    leaking, others = _drawn(1, 500)
    values = np.concatenate([leaking, others])[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(values, np.repeat([1, 0], 500))
    fitted = fit_calibration(leaking, others, SETUP, ATTACKS, images=8, photos=5)
    assert (fitted.intercept, fitted.slope) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), abs=0.05)


def test_the_posterior_follows_bayes_and_goes_no_further_than_the_files_reach() -> None:
    fitted = fit_calibration(*_drawn(0, 20), SETUP, ATTACKS, images=8, photos=5)
    assert fitted.limit == 21
    assert posterior(fitted, np.array([100.0, -100.0]), 0.5) == pytest.approx([21 / 22, 1 / 22])
    assert posterior(fitted, np.array([100.0]), 0.1) == pytest.approx([21 * 0.1 / (21 * 0.1 + 0.9)])


def test_reliability_agrees_with_scikit_learn_and_is_small_for_a_true_model() -> None:
    fitted = replace(fit_calibration(*_drawn(0), SETUP, ATTACKS, images=8, photos=5), limit=1e9)
    leaking, others = _drawn(2)
    stated = posterior(fitted, leaking, 0.5), posterior(fitted, others, 0.5)
    curve = reliability(*stated)
    seen, mean = calibration_curve(np.repeat([1, 0], len(leaking)), np.concatenate(stated), n_bins=10)
    assert curve.seen == pytest.approx(seen) and curve.stated == pytest.approx(mean)
    assert curve.error < 0.02 and sum(curve.share) == pytest.approx(1)
    wrong = replace(fitted, intercept=3.0)
    assert reliability(posterior(wrong, leaking, 0.5), posterior(wrong, others, 0.5)).error > 0.2


def test_a_calibration_holds_for_audits_that_see_no_less() -> None:
    fitted = rounded(fit_calibration(*_drawn(0, 20), SETUP, ATTACKS, images=8, photos=5))
    kit = replace(read_kit(POCKET_KIT), calibration=fitted)
    held = calibration_for(kit, SETUP, ATTACKS, images=8, photos=9)
    assert held is not None and held.attacks == ATTACKS and held.limit == 21
    for changed in ({"images": 7}, {"photos": 4}):
        assert calibration_for(kit, SETUP, ATTACKS, **({"images": 8, "photos": 5} | changed)) is None
    assert calibration_for(kit, replace(SETUP, steps=10), ATTACKS, images=8, photos=5) is None
    assert calibration_for(kit, SETUP, ("lora-class",), images=8, photos=5) is None
    assert calibration_for(None, SETUP, ATTACKS, images=8, photos=5) is None
