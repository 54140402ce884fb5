"""Seconds a step and adapters an hour on a pipeline of any size, by the adapters in a batch, beside a loop of peft over one person.

    python benchmarks/real_rates.py PIPELINE --device cuda --dtype bfloat16 --together 1 2 4 8 16

Both train rank 8 on one private image a step, with latents and text states made beforehand. An adapter is 1,000 steps. On a CPU,
seconds are those of all its cores together, so that other work on the machine does not count.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.lora_layers import detach, inject
from loraleak.errors import LoraleakError
from loraleak.finetuning import Job, Recipe, target_modules
from loraleak.finetuning.trainer import Trainer

__all__ = ["print_rates"]

_RECIPE = Recipe(rank=8, batch=1, prior_batch=0)
_STEPS_OF_AN_ADAPTER = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    print_rates(
        load_base(str(arguments.pipeline), device=arguments.device, dtype=arguments.dtype, resolution=arguments.resolution),
        arguments.together,
        arguments.steps,
    )


def print_rates(base: DiffusersBase, together: Sequence[int] = (1, 2, 4, 8, 16), steps: int = 5) -> None:
    """Print a table. It ends before the first number of adapters that the memory does not hold."""
    alone = _peft_step(base, steps)
    print(f"\n{base.name}, {base.resolution} pixels, {base.dtype}, {_name(base)}")
    print("| way | adapters in a batch | s a step | adapters an hour | of peft's loop | peak, GB |\n|---|---|---|---|---|---|")
    print(_row("peft, one at a time", 1, alone, alone, base))
    for count in together:
        try:
            seconds = _our_step(base, count, steps)
        except (torch.cuda.OutOfMemoryError, LoraleakError) as error:
            print(f"{count} adapters: {str(error).splitlines()[0]}")
            break
        print(_row("loraleak", count, seconds, alone, base), flush=True)


def _our_step(base: DiffusersBase, count: int, steps: int) -> float:
    blank = np.zeros((1, base.resolution, base.resolution, 3), dtype=np.uint8)
    state = Trainer(base, [Job(blank, _RECIPE)] * count)
    return _timed(base, state.step, steps)


def _peft_step(base: DiffusersBase, steps: int) -> float:
    """Seconds a step of peft's layers and torch's AdamW, for one person."""
    shapes = target_modules(base, _RECIPE.targets, text_encoder=False)
    paths = [name.removeprefix(f"{base.denoiser_name}.") for name in shapes]
    blank = np.zeros((1, base.resolution, base.resolution, 3), dtype=np.uint8)
    latents, states = base.encode(blank), base.embed([_RECIPE.prompt])
    inject(base.denoiser, dict.fromkeys(paths, _RECIPE.rank), dict.fromkeys(paths, 1.0))
    trained = [p for p in base.denoiser.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=_RECIPE.learning_rate)

    def step(_: int) -> None:
        noise, level = torch.randn_like(latents), int(torch.randint(base.noise_levels, ()))
        timesteps = base.timesteps[level].to(base.device).expand(1)
        predicted = base.predict(base.add_noise(latents, noise, timesteps), timesteps, states)
        loss = F.mse_loss(predicted, base.schedule.target(latents, noise, timesteps))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()

    try:
        return _timed(base, step, steps)
    finally:
        detach(base.denoiser)


def _timed(base: DiffusersBase, step: Callable[[int], object], steps: int) -> float:
    """Seconds of one of `steps` steps, after one that does not count. The peak of memory starts anew."""
    if base.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(base.device)
    clock = time.perf_counter if base.device.type == "cuda" else time.process_time
    step(1)
    _wait(base)
    start = clock()
    for i in range(steps):
        step(2 + i)
    _wait(base)
    return (clock() - start) / steps


def _wait(base: DiffusersBase) -> None:
    if base.device.type == "cuda":
        torch.cuda.synchronize(base.device)


def _row(way: str, count: int, seconds: float, alone: float, base: DiffusersBase) -> str:
    hourly = count * 3600 / (seconds * _STEPS_OF_AN_ADAPTER)
    peak = f"{torch.cuda.max_memory_allocated(base.device) / 2**30:.1f}" if base.device.type == "cuda" else "not measured"
    return f"| {way} | {count} | {seconds:.3g} | {hourly:.3g} | {count * alone / seconds:.2f} x | {peak} |"


def _name(base: DiffusersBase) -> str:
    return torch.cuda.get_device_name(base.device) if base.device.type == "cuda" else base.device.type


if __name__ == "__main__":
    main()
