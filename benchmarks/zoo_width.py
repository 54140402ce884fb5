"""Time of a sample, and memory, by the number of adapters in a batch: python benchmarks/zoo_width.py --out docs/zoo-width

Each width runs in a process of its own, on one thread like a build's worker, to measure its own memory. Writes PNG and SVG.
"""

import argparse
import multiprocessing
import resource
import time
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot as plt

from loraleak.bases import load_base
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together

_STEPS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128])
    parser.add_argument("--out", type=Path, default=Path("zoo-width"), help="name of the figures, without suffix")
    arguments = parser.parse_args()
    recipe = Recipe()
    class_images(load_base("pocket", device="cpu"), recipe)
    each = recipe.batch + recipe.prior_batch
    print(f"{'adapters':>9}{'ms a step':>11}{'ms a sample':>13}{'peak MB':>9}")
    seconds, memory = [], []
    for width in arguments.widths:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            step, peak = pool.apply(_measured, (width,))
        seconds.append(step / width / each * 1e3)
        memory.append(peak)
        print(f"{width:>9}{step * 1e3:>11.0f}{seconds[-1]:>13.2f}{peak:>9.0f}")
    _plot(arguments.widths, seconds, memory, arguments.out)


def _measured(width: int) -> tuple[float, float]:
    """Seconds a step and peak resident MB."""
    torch.set_num_threads(1)
    base = load_base("pocket", device="cpu")
    recipe = Recipe(steps=_STEPS)
    photos = class_images(base, recipe)[:5]
    jobs = [Job(photos, replace(recipe, seed=k), range(1, _STEPS)) for k in range(width)]
    times = [time.perf_counter() for _ in finetune_together(base, jobs, quiet=True)][::width]
    return (times[-1] - times[0]) / (len(times) - 1), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _plot(widths: list[int], milliseconds: list[float], memory: list[float], out: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axes, values, label in ((left, milliseconds, "ms a training sample"), (right, memory, "peak memory, MB")):
        axes.plot(widths, values, "o-", color="#3b6ea8")
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("adapters in a batch")
        axes.set_title(label, loc="left", fontsize=11)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for suffix in (".png", ".svg"):
        figure.savefig(out.with_suffix(suffix), dpi=150)


if __name__ == "__main__":
    main()
