"""How the time of sampling grows: measured on pocket beside the forecast, and counted FLOPs of larger bases and of kits.

    python benchmarks/audit_growth.py --out docs/speed

On one thread, in seconds of the processor. Each point of the upper row is one run of the arms alone, with nothing else of an audit. The
forecast is made once, as in an audit. Its line has the passes of each point times the seconds of a picture. The lower row has one pass
of 32 pictures, by the rank of random factors on all attention layers; counted FLOPs of the default audit by base, with the number of
attention layers; and the FLOPs of a kit by people.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from kit_plan import bases, passes_of_kit
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from loraleak.adapters import load_adapter
from loraleak.arms import ARMS, Scene, reconstruct, select_arms
from loraleak.assets import DEMO
from loraleak.auditing import AuditSettings
from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.speed import speed_of
from loraleak.bench.figures import save_figure
from loraleak.finetuning.targets import target_modules
from loraleak.kits import kit_for
from loraleak.types import Adapter, Factors

_USUAL = {"pictures": 4, "steps": 4, "arms": 4}
_POINTS: Mapping[str, Sequence[int]] = {"pictures": (2, 4, 8, 16), "steps": (2, 4, 8, 16), "arms": (1, 4, 8, 12)}
_RANKS = (4, 16, 64, 256)
_PEOPLE = (200, 400, 800, 1500)
_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("speed"), help="name of the figure, without suffix")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    time.perf_counter = time.process_time  # the forecast's clock too, so that other work on the machine does not count
    base = load_base("pocket", device="cpu")
    kit = kit_for(base)
    assert kit is not None
    scene = Scene(base, load_adapter(DEMO / "adapter.safetensors"), attack=kit.attack_on(base))
    speed = speed_of(base)
    figure, ((pictures, steps, arms), (ranks, sizes, people)) = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for axes, (name, points) in zip((pictures, steps, arms), _POINTS.items(), strict=True):
        settings = [{**_USUAL, name: point} for point in points]
        measured = [_sampled(scene, **each) for each in settings]
        forecast = [
            2 * each["pictures"] * each["steps"] * each["arms"] * speed.denoising
            + each["pictures"] * each["arms"] * speed.decoding
            for each in settings
        ]
        axes.plot(points, forecast, color="0.6", label="forecast")
        axes.plot(points, measured, "o", label="measured")
        axes.set(xlabel=name if name != "steps" else "sampler steps", ylabel="seconds", ylim=(0, None))
        ratios = ", ".join(
            f"{point}: {m:.2f} s, forecast {f:.2f}" for point, m, f in zip(points, measured, forecast, strict=True)
        )
        print(f"{name}: {ratios}", flush=True)
    pictures.legend(frameon=False)
    by_rank = [_pass(base, rank) for rank in _RANKS]
    print("rank: " + ", ".join(f"{rank}: {1e3 * seconds:.2f} ms" for rank, seconds in zip(_RANKS, by_rank, strict=True)))
    ranks.plot(_RANKS, [1e3 * seconds for seconds in by_rank], "o-")
    ranks.set(xlabel="rank", ylabel="ms a picture and pass", ylim=(0, None), xscale="log", xticks=_RANKS, xticklabels=_RANKS)
    ranks.minorticks_off()
    _counted(sizes, people)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, arguments.out)


def _sampled(scene: Scene, *, pictures: int, steps: int, arms: int) -> float:
    chosen = [name for name in ARMS if name != "lora-trigger"][:arms]
    start = time.process_time()
    reconstruct(scene, select_arms(chosen), images=pictures, seed=0, steps=steps)
    return time.process_time() - start


def _pass(base: DiffusersBase, rank: int) -> float:
    shapes = {name: base.modules[name] for name in target_modules(base, "attention", text_encoder=False)}
    factors = {name: Factors(torch.randn(rank, s[1]), torch.zeros(s[0], rank), 1.0) for name, s in shapes.items()}
    latents = torch.randn(_BATCH, *base.latent_shape)
    condition = torch.randn(_BATCH, *base.condition_shape)
    taken = []
    with base.adapted(Adapter(factors=factors, format="memory")), torch.no_grad():
        for _ in range(4):
            start = time.process_time()
            base.predict(latents, torch.full((_BATCH,), 500), condition)
            taken.append(time.process_time() - start)
    return min(taken) / _BATCH


def _counted(sizes: Axes, people: Axes) -> None:
    usual = AuditSettings()
    passes = 2 * usual.images * usual.steps * len(ARMS)
    for name, base in bases().items():
        whole = passes * base.flops / 1e15
        print(f"{name}: {base.layers} layers, {base.flops / 1e12:.2f} TFLOP a pass, {whole:.1f} PFLOP an audit")
        sizes.plot(base.layers, whole, "o")
        sizes.annotate(name, (base.layers, whole), xytext=(0, 6), textcoords="offset points", ha="center")
        zoo, training, controls = passes_of_kit()
        cost = [(zoo * count + training + controls) * base.flops / 1e18 for count in _PEOPLE]
        people.plot(_PEOPLE, cost, "o-")
        people.annotate(name, (_PEOPLE[-1], cost[-1]), xytext=(0, 7), textcoords="offset points", ha="right")
    sizes.set(xlabel="attention layers with factors", ylabel="PFLOP an audit", yscale="log")
    sizes.margins(0.2, 0.2)
    people.set(xlabel="people of a kit", ylabel="EFLOP", yscale="log")
    people.margins(0.1, 0.15)


if __name__ == "__main__":
    main()
