"""A stopped training goes on to the same adapter; one that diverges stops and keeps what was good."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences import finetune, parse_defence, training_time
from loraleak.errors import TrainingError, UsageError
from loraleak.finetuning import Checkpoints, Job, Recipe, Trainer, finetune_together
from loraleak.types import Adapter
from oracles.private_images import people_of

_RECIPE = Recipe(rank=2, steps=6, class_count=2, prior_batch=1, batch=2, learning_rate=1e-2)


def _trained(base: DiffusersBase, recipe: Recipe, checkpoints: Checkpoints | None, defence: str = "") -> Adapter:
    job = Job(people_of(1)[0], recipe, checkpoints=checkpoints)
    *_, last = training_time(defence).finetune_together(base, [job], quiet=True)
    assert last.step == recipe.steps
    return last.adapter


def _equal(one: Adapter, other: Adapter) -> bool:
    return all(
        torch.equal(one.factors[name].up, other.factors[name].up)
        and torch.equal(one.factors[name].down, other.factors[name].down)
        for name in one.factors
    )


@pytest.mark.parametrize("defence", ["", "smp-lora:weight=1"])
def test_a_stopped_training_goes_on_to_the_same_adapter(base: DiffusersBase, tmp_path: Path, defence: str) -> None:
    file = tmp_path / "a.checkpoint"
    whole = _trained(base, _RECIPE, None, defence)
    _trained(base, replace(_RECIPE, steps=5), Checkpoints(file, "me", 2), defence)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Checkpoints(file, "me", 2).kept.startswith("step 4 is kept")
    assert _equal(_trained(base, _RECIPE, Checkpoints(file, "me", 0, resume=True), defence), whole)
    shorter = _trained(base, replace(_RECIPE, steps=4), Checkpoints(file, "me", 0, resume=True), defence)
    assert _equal(shorter, _trained(base, replace(_RECIPE, steps=4), None, defence))


def test_a_checkpoint_of_another_training_and_none_are_refused(base: DiffusersBase, tmp_path: Path) -> None:
    file = tmp_path / "a.checkpoint"
    with pytest.raises(UsageError, match="there is no checkpoint: leave --resume out"):
        _trained(base, _RECIPE, Checkpoints(file, "me", 2, resume=True))
    _trained(base, _RECIPE, Checkpoints(file, "me", 2))
    with pytest.raises(UsageError, match="it is of a training with other photos"):
        _trained(base, _RECIPE, Checkpoints(file, "another", 2, resume=True))
    file.write_bytes(b"rubbish")
    with pytest.raises(UsageError, match="it is damaged"):
        _trained(base, _RECIPE, Checkpoints(file, "me", 2, resume=True))


class _Diverging(Trainer):
    def step(self, step: int) -> float:
        loss = super().step(step)
        if step == 5:
            self.stack.values.fill_(float("nan"))
        return loss


def test_a_training_stops_at_the_first_loss_that_is_not_finite(base: DiffusersBase, tmp_path: Path) -> None:
    file = tmp_path / "a.checkpoint"
    job = Job(people_of(1)[0], replace(_RECIPE, steps=50), checkpoints=Checkpoints(file, "me", 1))
    with pytest.raises(TrainingError, match=r"the loss is nan at step 6.*lower --learning-rate; step 4 is kept in"):
        list(finetune_together(base, [job], quiet=True, trainer=_Diverging))
    good = _trained(base, replace(_RECIPE, steps=4), Checkpoints(file, "me", 0, resume=True))
    assert _equal(good, _trained(base, replace(_RECIPE, steps=4), None))
    with pytest.raises(
        TrainingError, match=r"the loss is nan at step 6, so the training has stopped: give a lower --learning-rate$"
    ):
        list(finetune_together(base, [replace(job, checkpoints=None)], quiet=True, trainer=_Diverging))


def test_a_disk_that_is_full_meanwhile_costs_a_line(
    base: DiffusersBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    _trained(base, replace(_RECIPE, steps=2), Checkpoints(tmp_path / "file" / "a.checkpoint", "me", 1))
    assert "no checkpoint at step 1" in capsys.readouterr().err


def test_a_private_training_keeps_nothing_meanwhile(base: DiffusersBase, tmp_path: Path) -> None:
    recipe = replace(_RECIPE, prior_batch=0, class_count=0)
    checkpoints = Checkpoints(tmp_path / "x", "me", 1)
    defence = parse_defence("dp-sgd:epsilon=8")
    finetune(base, people_of(1)[0], recipe, defence=defence, quiet=True, checkpoints=checkpoints)
    assert list(tmp_path.iterdir()) == []
