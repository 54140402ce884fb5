"""Our accountant beside a second one, the noise that an epsilon takes, and what is refused: python benchmarks/accounting.py

An image's epsilon, by numerical composition, is compared with Google's dp-accounting (privacy loss distributions) and with the
Renyi bound. A person's, for all images at once, is compared with dp-accounting's mixture of Gaussians. Delta is 1e-5.
"""

import warnings

import numpy as np
from dp_accounting.pld import privacy_loss_distribution as google
from opacus.accountants import RDPAccountant
from scipy.stats import binom

from loraleak.defences.accounting import noise_for, sampled_epsilon
from loraleak.errors import UsageError

_DELTA = 1e-5
_SETTINGS = [
    *[(5, 1, 1000, noise) for noise in (2.0, 4.1, 12.0, 60.0)],
    *[(5, 4, 250, noise) for noise in (4.0, 16.0, 60.0)],
    *[(20, 1, 1000, noise) for noise in (0.9, 1.3, 4.0)],
    *[(20, 4, 250, noise) for noise in (1.5, 6.0, 20.0)],
    *[(100, 1, 1000, noise) for noise in (0.5, 0.62, 2.0)],
    *[(100, 4, 250, noise) for noise in (0.7, 2.0, 8.0, 20.0)],
]
"""Settings: images, expected images a step, steps, noise multiplier."""


def main() -> None:
    warnings.filterwarnings("ignore", message="Optimal order")
    print(
        f"{'images':>7}{'rate':>6}{'steps':>6}{'noise':>6}{'image':>9}{'theirs':>9}{'off':>8}{'Renyi':>9}{'person':>9}{'theirs':>9}{'off':>8}"
    )
    worst = 0.0
    for images, batch, steps, noise in _SETTINGS:
        rate = batch / images
        ours = sampled_epsilon(noise, rate, steps, _DELTA)
        theirs = google.from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=1e-3)
        second = theirs.self_compose(steps).get_epsilon_for_delta(_DELTA)
        renyi = RDPAccountant()
        renyi.history = [(noise, rate, steps)]
        person = sampled_epsilon(noise, rate, steps, _DELTA, group=images)
        row = f"{images:>7}{rate:>6.2f}{steps:>6}{noise:>6g}{ours:>9.3f}{second:>9.3f}{ours / second - 1:>8.2%}"
        row += f"{renyi.get_epsilon(_DELTA):>9.3f}{person:>9.4g}"
        worst = max(worst, abs(ours / second - 1))
        if person < 150:  # above that, theirs takes minutes, and the epsilon protects nobody
            other = _theirs_of_a_person(images, rate, steps, noise)
            row += f"{other:>9.4g}{person / other - 1:>8.2%}"
            worst = max(worst, abs(person / other - 1))
        print(row, flush=True)
    print(f"furthest from the second accountant: {worst:.2%}\n")
    print("noise multiplier for epsilon 8 of an image, 1,000 steps of one expected image (near 4.1, 1.3, 0.62), and the person")
    for images in (5, 20, 100):
        noise = noise_for(8.0, 1 / images, 1000, _DELTA)
        print(f"{images:>7}{noise:>9.3f}{sampled_epsilon(noise, 1 / images, 1000, _DELTA, group=images):>9.4g}")
    try:
        sampled_epsilon(4.1, 0.2, 1000, _DELTA, sampling="shuffle")
    except UsageError as error:
        print(f"\nshuffled: {error}")


def _theirs_of_a_person(images: int, rate: float, steps: int, noise: float) -> float:
    counts = np.arange(images + 1)
    weights = binom.pmf(counts, images, rate)
    likely = weights > 1e-18
    loss = google.from_mixture_gaussian_mechanism(
        noise, counts[likely].tolist(), weights[likely].tolist(), value_discretization_interval=4e-3
    )
    return float(loss.self_compose(steps).get_epsilon_for_delta(_DELTA))


if __name__ == "__main__":
    main()
