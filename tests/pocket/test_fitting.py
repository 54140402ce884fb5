"""A killed training goes on to the same end."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from loraleak.pocket.fitting import Schedule, Step, fit

_SCHEDULE = Schedule(steps=30, batch=4, learning_rate=0.05, warmup=3, checkpoint_every=10)


def _train(folder: Path, schedule: Schedule = _SCHEDULE, killed_at: int | None = None) -> nn.Linear:
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def loss(step: Step) -> dict[str, torch.Tensor]:
        if step.index == killed_at:
            raise KeyboardInterrupt
        x = torch.randn(step.batch, 3, generator=step.generator)
        return {"loss": (module(x) - x.sum(1, keepdim=True) - step.rng.normal(0, 0.01)).square().mean()}

    fit("test", module, schedule, loss, folder)
    return module


def test_it_learns_and_logs(tmp_path: Path) -> None:
    _train(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 30]
    assert rows[-1]["loss"] < rows[0]["loss"] < 3


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "killed", killed_at=17)
    resumed = _train(tmp_path / "killed")
    assert torch.equal(whole.weight, resumed.weight)


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path: Path) -> None:
    _train(tmp_path)
    with pytest.raises(ValueError, match="another schedule"):
        _train(tmp_path, Schedule(steps=31, batch=4, learning_rate=0.05))
