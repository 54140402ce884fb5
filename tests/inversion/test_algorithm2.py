"""Mode `online` with the published encoder is the published training."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.finetuning import finetune_together
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.objective import decoding_loss
from loraleak.inversion.public import Examples, PublicPeople
from loraleak.inversion.train import train_attack
from loraleak.inversion.train_settings import Algorithm2, TrainSettings
from loraleak.types import StackedFactors

SETTINGS = TrainSettings(encoder="published", steps=12, evaluate_every=6, held_out=0.4)
SHORT = Algorithm2(longest_run=5)


class Seen:
    """What each update of the encoder was shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: int = -1) -> None:
        self.examples: list[Examples] = []
        self.moved: list[float] = []
        true_step = TrainingRun._one_step

        def step(training: TrainingRun, examples: Examples) -> dict[str, float]:
            if training.step == stop:
                raise KeyboardInterrupt
            self.examples.append(examples)
            before = [p.detach().clone() for p in training.encoder.parameters()]
            figures = true_step(training, examples)
            after = training.encoder.parameters()
            self.moved.append(max(float((a - b).detach().abs().max()) for a, b in zip(before, after, strict=True)))
            self.training = training
            return figures

        monkeypatch.setattr("loraleak.inversion.universal._STEPS", 1)
        monkeypatch.setattr(TrainingRun, "_one_step", step)


def test_one_adapter_an_update_after_every_step_of_fresh_runs(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    attack = train_attack(base, replace(public, captions=None), SETTINGS, tmp_path, mode="online", algorithm2=SHORT)
    assert attack.kind == "published" and attack.knowledge == "start" and attack.encoder.drawn
    steps, people = [int(e.steps) for e in seen.examples], [int(e.people) for e in seen.examples]
    assert len(steps) == 12 and not set(people) & public.held_out
    runs = [i for i, step in enumerate(steps) if step == 1]
    assert all(b == a + 1 or b == 1 for a, b in pairwise(steps))
    assert len({(b or 12) - a for a, b in zip(runs, [*runs[1:], None], strict=True)}) > 1
    name = next(iter(public.shapes))
    starts = [seen.examples[i].weights.down[name] - seen.examples[i].read.down[name] for i in runs]
    assert not any(torch.equal(a, b) for a, b in pairwise(starts) if a.shape == b.shape)
    (group,) = seen.training.optimiser.param_groups
    assert group["lr"] == 5e-3 and group["weight_decay"] == 5e-4
    assert max(seen.moved[:1]) == pytest.approx(5e-3, rel=0.1)  # Adam's first step is the rate: nothing warms up or is clipped
    decoded = seen.training.decoded
    assert decoded is not None and decoded.latents.shape[:2] == (1, 1)


def test_an_interrupted_training_goes_on_with_the_same_examples(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(seen: Seen) -> list[tuple[int, int]]:
        return [(int(e.people), int(e.steps)) for e in seen.examples]

    with monkeypatch.context() as patch:
        whole = Seen(patch)
        train_attack(base, public, SETTINGS, tmp_path / "whole", mode="online", algorithm2=SHORT)
    with monkeypatch.context() as patch:
        first = Seen(patch, stop=6)
        with pytest.raises(KeyboardInterrupt):
            train_attack(base, public, SETTINGS, tmp_path / "killed", mode="online", algorithm2=SHORT)
    with monkeypatch.context() as patch:
        second = Seen(patch)
        train_attack(base, public, SETTINGS, tmp_path / "killed", mode="online", algorithm2=SHORT)
    assert shown(first) + shown(second) == shown(whole)


def test_the_slip_adds_the_gradient_of_the_encoders_loss(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step of a slipping run is the step of the sum of both losses, whose gradients an independent pass gives."""
    made: list = []

    def recorded(*given, trainer, **settings):
        def keeping(base: DiffusersBase, jobs: list):
            made.append(trainer(base, jobs))
            return made[-1]

        return finetune_together(*given, trainer=keeping, **settings)

    monkeypatch.setattr("loraleak.inversion.algorithm2.finetune_together", recorded)
    gradients: list[torch.Tensor] = []
    seen = Seen(monkeypatch)
    for slip in (False, True):
        settings = replace(SHORT, slip=slip)
        seen.examples.clear()
        train_attack(base, public, SETTINGS, tmp_path / str(slip), mode="online", algorithm2=settings)
        of_second = [e for e in seen.examples if int(e.steps) == 2]
        gradients.append(torch.cat([u.flatten() for u in of_second[0].weights.up.values()]))
    assert not torch.allclose(*gradients)
    slipping = next(m for m in made if getattr(m, "left", None) is not None)
    left, stack = slipping.left, slipping.stack
    weights = StackedFactors(stack.down, stack.up, stack.scales, torch.tensor(stack.ranks))
    expected = decoding_loss(
        base, weights, left.z, left.latents, left.timesteps, left.noise, strength=torch.ones(1), weighting="uniform"
    )
    with base.stacked(stack):
        found = slipping.losses(1)
        slipping.left = None
        found = found - slipping.losses(1)
    torch.testing.assert_close(found[0], expected)


def test_departures_are_named(base: DiffusersBase, public: PublicPeople, tmp_path: Path) -> None:
    published = Algorithm2().applied(TrainSettings(encoder="published"))
    assert (published.learning_rate, published.weight_decay, published.max_grad_norm) == (5e-3, 5e-4, None)
    assert (published.caption_weight, published.noise_weight, published.beta) == (0, 1, 0)
    assert (Algorithm2().longest_run, Algorithm2().slip) == (1000, False)
    older = Algorithm2(caption_distance=1.0).applied(SETTINGS)
    training = TrainingRun(base, public, older, tmp_path)
    assert set(training._one_step(public.examples(0, np.array([0]), "start"))) == {"caption", "noise"}
