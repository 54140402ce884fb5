"""Speed of building a zoo, against the published way and against a strong loop: python benchmarks/zoo.py

All train rank 8 adapters on pocket, with one private and one class image a step. Times are of whole runs, with their start:
  ours       `zoo build`: 16 adapters a batch, one worker of one thread a core
  published  one person at a time, model loaded for each, images encoded and prompts embedded at every step
  peft       one person at a time, latents and text states cached, peft's layers, torch's AdamW
It then prints the share of the machine's float32 matrix product that a step reaches, and where its time goes.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.lora_layers import detach, inject
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.finetuning.targets import target_modules
from loraleak.people.folders import read_photos
from loraleak.people.identities import identities_in
from loraleak.people.splits import draw_people
from loraleak.people.writing import write_people
from loraleak.zoo.build import build_zoo
from loraleak.zoo.plan import plan_zoo
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.threads import one_thread
from loraleak.zoo.workers import Site, local_workers

_RANK = 8
_KINDS = {
    "convolutions": ("conv",),
    "attention": ("attention", "softmax"),
    "matrix products": ("mm", "linear", "matmul"),
    "normalisation": ("norm",),
    "copies and layout": ("copy", "cat", "contiguous", "clone", "to_", "upsample"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--ours", type=int, default=64, help="people in our zoo")
    parser.add_argument("--theirs", type=int, default=4, help="people of each comparator")
    arguments = parser.parse_args()
    steps = arguments.steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_people(folder / "people", draw_people("public", arguments.ours, seed=0), images=5, size=64, seed=0)
        base = load_base("pocket", device="cpu")
        class_images(base, Recipe())
        ours = _timed(lambda: _ours(folder, base, steps)) / arguments.ours
        few = sorted(f for f in (folder / "people").iterdir() if f.is_dir())[: arguments.theirs]
        published = _timed(lambda: [_published(person, steps) for person in few]) / len(few)
        peft = _timed(lambda: [_peft(base, person, steps) for person in few]) / len(few)
    print(f"{os.cpu_count()} cores, pocket, rank {_RANK}, {steps} steps of 1 private and 1 class image")
    print(f"{'':<12}{'s a person':>12}{'ratio to ours':>16}")
    for title, seconds in (("ours", ours), ("published", published), ("peft", peft)):
        print(f"{title:<12}{seconds:>12.2f}{seconds / ours:>16.1f}")
    work = _roofline(base) * 2 * steps
    size = torch.randn(1536, 1536)
    peak = _product_rate(size)
    print(
        f"all cores: {peak / 1e9:.0f} GFLOP/s; a person's {work / 1e9:.0f} GFLOP take at least {work / peak:.2f} s at that rate, so no "
        f"build is more than {published / (work / peak):.1f} times faster than the published way, {peft / (work / peak):.1f} than peft"
    )


def _ours(folder: Path, base: DiffusersBase, steps: int) -> None:
    ranges = RecipeRanges(
        ranks=(_RANK,), steps=(steps, steps), images=(5, 5), batch=1, prior_batch=1, prior_share=1.0, snapshots=1
    )
    site = Site(folder / "people", str(folder / "zoo"), BaseSettings(device="cpu"))
    plan = plan_zoo(identities_in(site.people), ranges, together=16)
    if build_zoo(plan, site.people, site.folder, base, builder=local_workers(site, os.cpu_count() or 1)):
        raise RuntimeError("people failed")


def _published(person: Path, steps: int) -> None:
    base, recipe = load_base("pocket", device="cpu"), Recipe()
    photos = [photo.picture for photo in read_photos(person)]
    prior = class_images(base, recipe)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        images = [photos[step % len(photos)], prior[step % len(prior)]]
        return base.encode(images), base.embed([recipe.prompt, recipe.class_prompt])

    _loop(base, batch, steps)


def _peft(base: DiffusersBase, person: Path, steps: int) -> None:
    recipe = Recipe()
    private = base.encode([photo.picture for photo in read_photos(person)])
    prior = base.encode(class_images(base, recipe))
    states = base.embed([recipe.prompt, recipe.class_prompt])

    def batch(step: int) -> tuple[Tensor, Tensor]:
        return torch.stack([private[step % len(private)], prior[step % len(prior)]]), states

    _loop(base, batch, steps)


def _loop(base: DiffusersBase, batch: Callable[[int], tuple[Tensor, Tensor]], steps: int) -> None:
    paths = [name.removeprefix("unet.") for name in target_modules(base, "attention", text_encoder=False)]
    inject(base.unet, dict.fromkeys(paths, _RANK), dict.fromkeys(paths, 1.0))
    trained = [p for p in base.unet.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    for step in range(steps):
        latents, states = batch(step)
        noise, times = torch.randn_like(latents), torch.randint(base.noise_levels, (len(latents),))
        loss = F.mse_loss(base.predict(base.add_noise(latents, noise, times), times, states), noise)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
    detach(base.unet)


def _roofline(base: DiffusersBase) -> float:
    """Measure one worker's step, on one thread as in a build. Returns the FLOPs of a sample."""
    recipe = Recipe(rank=_RANK, batch=1, prior_batch=1, steps=6)
    photos = class_images(base, recipe)[:5]
    jobs = [Job(photos, recipe, range(1, 7)) for _ in range(16)]
    with one_thread():
        peak = _product_rate(torch.randn(1536, 1536))
        flops = _flops(base, jobs, 2) - _flops(base, jobs, 1)  # the work before the first step does not count
        seconds = _steps(base, jobs, 6)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            _steps(base, jobs, 3)
    print(f"\na step of 16 adapters, 32 samples, one thread: {seconds * 1e3:.0f} ms, {flops / 1e9:.1f} GFLOP counted")
    print(
        f"matrix product of 1536: {peak / 1e9:.0f} GFLOP/s; the step: {flops / seconds / 1e9:.0f} GFLOP/s, "
        f"{flops / seconds / peak:.0%} of it"
    )
    spent: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        kind = next((k for k, marks in _KINDS.items() if any(mark in event.key for mark in marks)), "elementwise and the rest")
        spent[kind] += event.self_cpu_time_total
    whole = sum(spent.values())
    for kind, time_spent in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {kind:<26}{time_spent / whole:>6.0%}")
    return flops / (2 * len(jobs))


def _product_rate(matrix: Tensor) -> float:
    """FLOP/s of a matrix product of this matrix with itself."""
    matrix @ matrix
    return 10 * 2 * len(matrix) ** 3 / _timed(lambda: [matrix @ matrix for _ in range(10)])


def _flops(base: DiffusersBase, jobs: list[Job], count: int) -> int:
    with FlopCounterMode(display=False) as counter:
        _steps(base, jobs, count)
    return int(counter.get_total_flops())


def _steps(base: DiffusersBase, jobs: list[Job], count: int) -> float:
    """Seconds a step, from the first snapshot on."""
    shorter = [replace(job, recipe=replace(job.recipe, steps=count)) for job in jobs]
    run = finetune_together(base, shorter, quiet=True)
    times = [time.perf_counter() for _ in run][:: len(jobs)]
    return (times[-1] - times[0]) / max(1, len(times) - 1)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
