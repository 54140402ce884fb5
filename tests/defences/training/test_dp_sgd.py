"""The mechanism of DP-SGD: against one sample at a time, against training without it, and against an adversary."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import Float
from scipy.stats import beta
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.defences.accounting import sampled_epsilon
from loraleak.defences.training.dp_sgd import DpSgd
from loraleak.defences.training.private_steps import Mechanism, PrivateTrainer
from loraleak.errors import TrainingError, UsageError
from loraleak.finetuning.randomness import Draw, gaussian_numbers, poisson_sample, shuffled_sample
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.secrecy import secret_seed
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together
from loraleak.finetuning.trainer import Trainer
from loraleak.types import Images
from oracles.one_sample_at_a_time import clipped_sum
from oracles.private_images import in_double, people_of

_RECIPE = Recipe(
    trigger="zqkv",
    rank=3,
    alpha=3.0,
    steps=4,
    class_count=3,
    prior_batch=1,
    batch=2,
    learning_rate=1e-2,
    loss_weighting="uniform",
)
_GAME = replace(_RECIPE, rank=1, alpha=1.0, batch=1, prior_weight=0.0, targets="cross-attention")


def _last(snapshots: list[Snapshot]) -> dict[int, Snapshot]:
    return {snapshot.job: snapshot for snapshot in snapshots}


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_clipping_by_image_is_one_sample_at_a_time(base: DiffusersBase, clip: float) -> None:
    """To 1e-9 in float64, for several people at once, where clipping bites and where it does not."""
    recipes = [replace(_RECIPE, prior_batch=0), replace(_RECIPE, prior_batch=0, seed=5, rank=2, trigger="abcd")]
    base = in_double(base, _RECIPE)
    people = people_of(2)
    jobs = [Job(p, r) for p, r in zip(people, recipes, strict=True)]
    training = PrivateTrainer(base, jobs, mechanism=Mechanism([0.0, 0.0], clip, "poisson", 3))
    generator = torch.Generator().manual_seed(0)
    training.stack.values[:, training.stack.places("up", 2)] = 0.1 * torch.randn(
        2, len(training.stack.places("up", 2)), generator=generator, dtype=torch.float64
    )
    step, seen = next((s, n) for s, n in _samples(recipes, people) if min(n) >= 2)
    training.differentiate(step)
    for k, recipe in enumerate(recipes):
        taken = poisson_sample(recipe.seed, step, recipe.batch / len(people[k]), len(people[k]))
        assert len(taken) == seen[k]
        latents = base.encode(people[k]).double()
        alone = training.stack.copies([k])
        expected = clipped_sum(base, alone, latents, taken, recipe, step=step, each=3, clip=clip, prior=(0, 0))
        assert (training.stack.gradients[k] - expected / recipe.batch).abs().max() < 1e-9
        assert expected.norm() > 0.9 * clip if clip < 1 else expected.norm() < clip


def _samples(recipes: list[Recipe], people: list[Images]) -> list[tuple[int, list[int]]]:
    return [
        (s, [len(poisson_sample(r.seed, s, r.batch / len(p), len(p))) for r, p in zip(recipes, people, strict=True)])
        for s in range(1, 50)
    ]


class _WholeBatch(Trainer):
    """Every image once a step, in order, by DP-SGD's own draws: what DP-SGD is without noise, clip and sampling."""

    def losses(self, step: int) -> Float[Tensor, " adapters"]:
        private = PrivateTrainer._draw_for(self, 0, step)  # type: ignore[arg-type]
        latents = torch.cat([self.private[0, : self.counts[0]], self.prior[0, private.prior]])[None]
        noise = torch.from_numpy(private.noise).to(latents)[None]
        times = torch.from_numpy(private.timesteps)[None]
        states = self.states(step)[:, torch.tensor([0] * self.counts[0] + [1] * self.prior_batch)]
        error = self.errors(latents, noise, times, states, self.debiased)
        split = self.counts[0]
        return error[:, :split].mean(1) + self.prior_weights * error[:, split:].mean(1)


def test_without_noise_clip_and_sampling_it_is_training_on_the_whole_batch(base: DiffusersBase) -> None:
    recipe = replace(_RECIPE, batch=4, max_grad_norm=1e6, loss_weighting="debiased")
    base = in_double(base, recipe)
    mechanism = Mechanism([0.0], 1e6, "poisson", 1)
    jobs = [Job(people_of(2)[1], recipe)]

    def whole(base: DiffusersBase, jobs: list[Job]) -> Trainer:
        training = _WholeBatch(base, jobs)
        training.mechanism = mechanism  # type: ignore[attr-defined]
        return training

    expected = _last(list(finetune_together(base, jobs, quiet=True, trainer=whole)))[0]
    defence = DpSgd(noise=0.0, clip=1e6, multiplicity=1)
    given = _last(list(defence.finetune_together(base, jobs, quiet=True)))[0]
    for name, factors in given.adapter.factors.items():
        assert (factors.up - expected.adapter.factors[name].up).abs().max() < 1e-9
        assert (factors.down - expected.adapter.factors[name].down).abs().max() < 1e-9
        assert factors.up.abs().max() > 1e-4


def test_a_private_adapter_repeats_and_does_not_depend_on_its_company(base: DiffusersBase) -> None:
    people = people_of(3)
    jobs = [Job(p, replace(_RECIPE, seed=k, rank=2 + k, steps=2 + k)) for k, p in enumerate(people)]
    base = in_double(base, _RECIPE)
    defence = DpSgd(noise=1.0, multiplicity=2)
    together = _last(list(defence.finetune_together(base, jobs, quiet=True)))
    for k in range(3):
        alone = _last(list(defence.finetune_together(base, [jobs[k]], quiet=True)))[0]
        for name, factors in together[k].adapter.factors.items():
            assert torch.allclose(factors.up, alone.adapter.factors[name].up, rtol=0, atol=1e-12)
            assert torch.allclose(factors.down, alone.adapter.factors[name].down, rtol=0, atol=1e-12)
            assert factors.up.shape[1] == 2 + k


def test_the_text_encoder_trains_privately_too(base: DiffusersBase) -> None:
    recipe = replace(_RECIPE, text_encoder=True, steps=2)
    (snapshot,) = DpSgd(noise=0.01, multiplicity=1).finetune_together(base, [Job(people_of(1)[0], recipe)], quiet=True)
    assert any(n.startswith("text_encoder.") and f.up.abs().max() > 0 for n, f in snapshot.adapter.factors.items())


def test_frozen_factors_stay_and_the_rest_learns(base: DiffusersBase) -> None:
    jobs = [Job(people_of(1)[0], _RECIPE, snapshots=(1,))]
    first, last = DpSgd(noise=1.0, freeze_down=True).finetune_together(base, jobs, quiet=True)
    for name, factors in last.adapter.factors.items():
        assert torch.equal(factors.down, first.adapter.factors[name].down)
        assert not torch.equal(factors.up, first.adapter.factors[name].up)


def test_the_noise_has_the_stated_variance(base: DiffusersBase) -> None:
    """Of the gradient: (noise multiplier * clip / expected batch)^2, in every factor, anew at every step."""
    training = PrivateTrainer(
        base, [Job(people_of(1)[0], replace(_RECIPE, prior_batch=0))], mechanism=Mechanism([3.0], 0.5, "poisson", 1)
    )
    drawn = []
    for step in range(1, 21):
        training.mechanism = Mechanism([0.0], 0.5, "poisson", 1)
        training.differentiate(step)
        signal = training.stack.gradients.clone()
        training.mechanism = Mechanism([3.0], 0.5, "poisson", 1)
        training.differentiate(step)
        drawn.append((training.stack.gradients - signal)[0])
    noise = torch.stack(drawn).double()
    expected = 3.0 * 0.5 / 2
    width = expected / (2 * noise.numel()) ** 0.5
    assert abs(noise.std() - expected) < 5 * width
    assert abs(noise.mean()) < 5 * expected / noise.numel() ** 0.5
    assert abs(float(torch.corrcoef(noise[:2])[0, 1])) < 5 / noise.shape[1] ** 0.5


def test_every_image_takes_part_by_a_coin_of_its_own() -> None:
    rounds = np.zeros((4000, 5))
    for step in range(len(rounds)):
        rounds[step, poisson_sample(3, step, 0.3, 5)] = 1
    width = (0.3 * 0.7 / len(rounds)) ** 0.5
    assert np.abs(rounds.mean(0) - 0.3).max() < 5 * width
    assert np.abs(np.corrcoef(rounds.T) - np.eye(5)).max() < 5 / len(rounds) ** 0.5
    assert abs(rounds.sum(1).var() - 5 * 0.3 * 0.7) < 0.1
    assert len(poisson_sample(3, 1, 1.0, 5)) == 5


def test_shuffled_images_come_in_turn() -> None:
    taken = np.concatenate([shuffled_sample(0, step, 2, 5) for step in range(1, 6)])
    assert sorted(taken[:5]) == sorted(taken[5:]) == [0, 1, 2, 3, 4] and list(taken[:5]) != list(taken[5:])


def test_no_adversary_finds_more_than_the_stated_epsilon() -> None:
    """A membership game on the mechanism itself, whose gradient is 1 for the image in question and 0 for the others.

    The adversary sees every step and thresholds the likelihood ratio. From its errors, with Clopper-Pearson intervals, follows a
    lower bound of epsilon (Jagielski et al. 2020; Nasr et al. 2021); it must stay below what the accountant states, and come near.
    """
    rate, noise, steps, delta, games = 0.5, 1.0, 4, 1e-2, 4000
    stated = sampled_epsilon(noise, rate, steps, delta)
    scores = np.zeros((2, games))
    for member in (0, 1):
        for game in range(games):
            seed = 2 * game + member
            steps_taken = [member * float(0 in poisson_sample(seed, s, rate, 3)) for s in range(1, steps + 1)]
            seen = np.array([x + noise * float(gaussian_numbers(seed, s, 1)[0]) for s, x in enumerate(steps_taken, 1)])
            ratio = (1 - rate) + rate * np.exp((2 * seen - 1) / (2 * noise**2))
            scores[member, game] = np.log(ratio).sum()
    lowest = _lower_bound(scores[0, ::2], scores[1, ::2], scores[0, 1::2], scores[1, 1::2], delta)
    assert 0.35 * stated < lowest < stated, (lowest, stated)


class _Game(PrivateTrainer):
    """A training in whose every step an adversary looks, who knows all but the noise and whether the last image is there at all.

    `log_ratios`: how likely what they saw is if it is, and if it is not.
    """

    def __init__(self, base: DiffusersBase, jobs: list[Job], *, mechanism: Mechanism, member: bool, believed: float) -> None:
        super().__init__(base, jobs, mechanism=mechanism)
        self.member, self.believed = member, believed
        self.log_ratios = torch.zeros(len(jobs), dtype=torch.float64)

    def _draw_for(self, k: int, step: int) -> Draw:
        drawn = super()._draw_for(k, step)
        return drawn if self.member else _without_the_last(drawn)

    def differentiate(self, step: int) -> Float[Tensor, " adapters"]:
        draws = [PrivateTrainer._draw_for(self, k, step) for k in range(len(self.recipes))]
        others, _ = self._clipped_sums([_without_the_last(drawn) for drawn in draws], step)
        image, _ = self._clipped_sums([_the_last_alone(drawn) for drawn in draws], step)
        losses = super().differentiate(step)
        seen, size = self.stack.gradients * self.batch - others, image.norm(dim=1)
        assert (size <= self.mechanism.clip * (1 + 1e-5)).all()
        rate, spread = self.batch / self.counts[0], self.believed * self.mechanism.clip
        along = ((seen * image).sum(1) - size**2 / 2).double() / spread**2
        self.log_ratios += torch.log((1 - rate) + rate * torch.exp(along))
        return losses


def _without_the_last(drawn: Draw) -> Draw:
    return replace(drawn, private=drawn.private[drawn.private != 1])


def _the_last_alone(drawn: Draw) -> Draw:
    first = int((drawn.private != 1).sum())
    return replace(drawn, private=np.array([1]), timesteps=drawn.timesteps[first:], noise=drawn.noise[first:])


def _lowest_epsilon(base: DiffusersBase, noise: float, believed: float, delta: float, games: int) -> float:
    """Of whole fine-tunings on two images or one, by `_GAME`."""
    images = people_of(1)[0][:2]
    scores = np.zeros((2, games))
    for member in (0, 1):
        recipes = [replace(_GAME, seed=2 * game + member) for game in range(games)]
        mechanism = Mechanism([noise] * games, 1e-3, "poisson", 1)
        played = _Game(base, [Job(images, r) for r in recipes], mechanism=mechanism, member=bool(member), believed=believed)
        for step in range(1, _GAME.steps + 1):
            played.step(step)
        scores[member] = played.log_ratios
    return _lower_bound(scores[0, ::2], scores[1, ::2], scores[0, 1::2], scores[1, 1::2], delta)


def test_no_adversary_finds_more_in_a_fine_tuning_than_the_stated_epsilon(base: DiffusersBase) -> None:
    """The same game on real gradients, sampling, clip and noise; and on one with a fifth of the noise that it states."""
    stated = sampled_epsilon(1.25, 0.5, _GAME.steps, 0.03)
    honest, dishonest = (_lowest_epsilon(base, noise, 1.25, 0.03, 300) for noise in (1.25, 0.25))
    assert 0.2 * stated < honest < stated < dishonest, (honest, stated, dishonest)


def test_the_game_finds_a_mechanism_that_promises_too_much() -> None:
    """The same game on a quarter of the noise: its bound is above the epsilon of the whole noise."""
    rng = np.random.default_rng(0)
    stated = sampled_epsilon(2.0, 1.0, 1, 1e-5)
    out, member = rng.normal(0, 0.5, 20000), rng.normal(1, 0.5, 20000)
    assert _lower_bound(out[::2], member[::2], out[1::2], member[1::2], 1e-5) > stated


def _lower_bound(
    out: np.ndarray, member: np.ndarray, out_held: np.ndarray, member_held: np.ndarray, delta: float, level: float = 0.975
) -> float:
    """Epsilon that the game shows at 95%, by the threshold that is best on the first half, counted on the other."""

    def shown(out: np.ndarray, member: np.ndarray, threshold: float) -> float:
        false, true = int((out > threshold).sum()), int((member > threshold).sum())
        high = beta.ppf(level, false + 1, len(out) - false) if false < len(out) else 1.0
        low = beta.ppf(1 - level, true, len(member) - true + 1) if true else 0.0
        return float(np.log(max(low - delta, 1e-12) / high))

    thresholds = np.quantile(np.concatenate([out, member]), np.linspace(0.02, 0.995, 60))
    best = max(thresholds, key=lambda t: shown(out, member, t))
    return shown(out_held, member_held, float(best))


def test_a_step_that_moves_nothing_is_an_error(base: DiffusersBase) -> None:
    training = PrivateTrainer(base, [Job(people_of(1)[0], _RECIPE)], mechanism=Mechanism([1.0], 1.0, "poisson", 1))
    training.optimiser.learning_rates.zero_()
    with pytest.raises(TrainingError, match=r"step 1 the factors B of 1 adapters are where they were.*learning rate"):
        training.step(1)


def test_what_may_be_claimed() -> None:
    recipe = replace(_RECIPE, batch=1, steps=100, seed=secret_seed())
    promised = DpSgd(epsilon=2.0).guarantee(recipe, 5)
    assert promised.epsilon_image is not None and promised.epsilon_person is not None
    assert 1.95 < promised.epsilon_image <= 2.0 and promised.delta == 1e-5
    noise = DpSgd(epsilon=2.0).noise_multiplier(recipe, 5)
    assert promised.epsilon_person == sampled_epsilon(noise, 0.2, 100, 1e-5, group=5) > 4 * promised.epsilon_image
    assert "epsilon 2 for one private image" in promised.says
    larger = DpSgd(epsilon=2.0, batch=5, learning_rate=0.02)
    assert larger.defended(recipe) == replace(recipe, batch=5, learning_rate=0.02)
    assert DpSgd(epsilon=2.0).defended(recipe) == recipe
    assert larger.noise_multiplier(larger.defended(recipe), 5) > 2 * noise
    shuffled = DpSgd(noise=1.0, sampling="shuffle").guarantee(recipe, 5)
    assert shuffled.epsilon_image is shuffled.epsilon_person is shuffled.delta is None
    assert shuffled.says.startswith("noise, no guarantee")
    assert DpSgd(noise=0.0).guarantee(recipe, 5).epsilon_image is None
    with pytest.raises(UsageError, match="no epsilon for shuffle sampling"):
        DpSgd(sampling="shuffle")
    with pytest.raises(
        UsageError,
        match=r"epsilon is 0, .*; clip is -1, .*; delta is 1, .*; multiplicity is 0, .*; batch is 0, .*; learning_rate is 0",
    ):
        DpSgd(epsilon=0.0, clip=-1.0, delta=1.0, multiplicity=0, batch=0, learning_rate=0.0)
