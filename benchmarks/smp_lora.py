"""Reproduction of SMP-LoRA on pocket: does membership AUC fall towards .5 while the adaptation loss stays near?

    python benchmarks/smp_lora.py

As published, members and non-members are of one distribution, here pictures of as many different people. An adapter learns the
members under one prompt. Two attackers average over fixed timesteps and noises. The published one sees each picture's error,
the other how much the adapter lowers it. The defence trains against pictures of other people, and the AUC is measured on
pictures of yet others. Each weight has several adapters of different people. Intervals are 95% bootstrap over adapters and
pictures.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float

from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.cases import pictures
from loraleak.defences.training.smp_lora import SmpLora, SmpTrainer
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.people.splits import draw_people
from loraleak.scores import auc
from loraleak.types import Adapter, Images

_LEVELS = (50, 150, 250, 350, 450, 550, 650, 750)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 1.0, 10.0, 100.0])
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--images", type=int, default=16, help="members an adapter, and as many non-members")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    arguments = parser.parse_args()
    base = load_base(device="cpu")
    count = arguments.images * (2 * arguments.adapters + 2)
    people = draw_people("victims", count, seed=5)
    drawn = np.concatenate([pictures(person, 1, seed=(5, i, 0)) for i, person in enumerate(people)])
    public, *rest = np.split(drawn, [2 * arguments.images])
    members, others = (part.reshape(arguments.adapters, -1, *drawn.shape[1:]) for part in np.split(rest[0], 2))
    recipe = Recipe(steps=arguments.steps, prior_batch=0, learning_rate=arguments.learning_rate)
    jobs = [Job(images, replace(recipe, seed=k)) for k, images in enumerate(members)]
    print(f"{'weight':>8}{'AUC by the error':>24}{'by how much it falls':>24}{'error of members':>20}{'of others':>12}")
    for weight in arguments.weights:
        training = partial(SmpTrainer, settings=SmpLora(weight=weight), nonmembers=public)
        trained = {s.job: s.adapter for s in finetune_together(base, jobs, trainer=training)}
        seen = [(_errors(base, trained[k], members[k], recipe), _errors(base, trained[k], others[k], recipe)) for k in trained]
        row = [_interval([(sign * a[i], sign * b[i]) for a, b in seen]) for i, sign in ((0, -1), (1, 1))]
        inside, outside = (np.mean([part[i][0].mean() for part in seen]) for i in (0, 1))
        print(f"{weight:>8g}{row[0]:>24}{row[1]:>24}{inside:>20.4f}{outside:>12.4f}", flush=True)


@torch.no_grad()
def _errors(
    base: DiffusersBase, adapter: Adapter, images: Images, recipe: Recipe
) -> tuple[Float[np.ndarray, " images"], Float[np.ndarray, " images"]]:
    """Mean squared error of the predicted noise with the adapter, and how much the adapter lowers its logarithm."""
    latents, condition = base.encode(images), base.embed([recipe.prompt]).expand(len(images), -1, -1)
    generator = torch.Generator().manual_seed(0)
    found = []
    for level in _LEVELS:
        noise = torch.randn((1, *latents.shape[1:]), generator=generator).expand_as(latents)
        times = torch.full((len(latents),), level)
        noisy = base.add_noise(latents, noise, times)
        without = (base.predict(noisy, times, condition) - noise).square().flatten(1).mean(1)
        with base.adapted(adapter):
            adapted = (base.predict(noisy, times, condition) - noise).square().flatten(1).mean(1)
        found.append((adapted.numpy(), (without.log() - adapted.log()).numpy()))
    return np.mean([f[0] for f in found], axis=0), np.mean([f[1] for f in found], axis=0)


def _interval(pairs: Sequence[tuple[np.ndarray, np.ndarray]], rounds: int = 2000) -> str:
    rng = np.random.default_rng(0)
    means = []
    for _ in range(rounds):
        chosen = [pairs[i] for i in rng.integers(len(pairs), size=len(pairs))]
        means.append(np.mean([auc(rng.choice(a, len(a)), rng.choice(b, len(b))) for a, b in chosen]))
    middle = float(np.mean([auc(a, b) for a, b in pairs]))
    return f"{middle:.3f} [{np.quantile(means, 0.025):.3f}, {np.quantile(means, 0.975):.3f}]"


if __name__ == "__main__":
    main()
