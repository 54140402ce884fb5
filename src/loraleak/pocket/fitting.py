"""One training loop for all parts of pocket: deterministic by step, checkpointed, resumable after a kill."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from loraleak.files import replacing
from loraleak.progress import progress_bar

__all__ = ["Schedule", "Step", "fit"]


@dataclass(frozen=True)
class Schedule:
    """Schedule of AdamW, with linear warm-up and a cosine to zero."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 200


@dataclass(frozen=True)
class Step:
    """Randomness of one step, a function of seed and step alone, so that a resumed run is the same run."""

    index: int
    batch: int
    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def at(cls, index: int, schedule: Schedule) -> "Step":
        generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + index)
        return cls(index, schedule.batch, np.random.default_rng([schedule.seed, index]), generator)


def fit(
    name: str,
    module: nn.Module,
    schedule: Schedule,
    loss: Callable[[Step], Mapping[str, Tensor]],
    folder: Path,
) -> None:
    """Minimise `loss(step)["loss"]` over the module's parameters; the other entries are logged to `folder/log.jsonl`.

    The loop goes on from `folder/checkpoint.pt` where there is one, and refuses a checkpoint of another schedule.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, betas=schedule.betas, weight_decay=schedule.weight_decay, fused=True
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, schedule))
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["schedule"] != json.dumps(asdict(schedule)):
            raise ValueError(f"{checkpoint} belongs to another schedule; delete it or choose another folder")
        module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])
        rate.load_state_dict(state["rate"])
        start = int(state["step"])
    module.train()
    with progress_bar() as bar:
        task = bar.add_task(f"training {name}", total=schedule.steps, completed=start, figures="")
        for index in range(start, schedule.steps):
            optimiser.zero_grad(set_to_none=True)
            figures = loss(Step.at(index, schedule))
            figures["loss"].backward()
            nn.utils.clip_grad_norm_(parameters, schedule.clip)
            optimiser.step()
            rate.step()
            done = index + 1
            if done % 20 == 0 or done == schedule.steps:
                values = {key: round(float(value.detach()), 5) for key, value in figures.items()}
                bar.update(task, figures=" ".join(f"{k} {v:.4g}" for k, v in values.items()))
                with (folder / "log.jsonl").open("a") as log:
                    log.write(json.dumps({"step": done, **values}) + "\n")
            if done % schedule.checkpoint_every == 0 or done == schedule.steps:
                _save(checkpoint, done, schedule, module, optimiser, rate)
            bar.advance(task)
    module.eval()


def _rate(step: int, schedule: Schedule) -> float:
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)))


def _save(
    checkpoint: Path,
    step: int,
    schedule: Schedule,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.LambdaLR,
) -> None:
    state = {
        "step": step,
        "schedule": json.dumps(asdict(schedule)),
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rate": rate.state_dict(),
    }
    with replacing(checkpoint) as partial:
        torch.save(state, partial)
