"""Can somebody tell the owner's person from the decoys by what the file draws? The classifier gets all triggers, which no stranger has.

    python benchmarks/decoys_told.py work --people DECOYS --victims 8 --count 3

For each person of a file it takes pictures under the person's own prompt, and counts: how much alike they are, how sharp, how well the
base predicts them, how far the adapter moves the prediction under that prompt, and how well it fits its own pictures. Each number is
compared within its file. A logistic regression learns from all other files who is the owner's (leave one file out). Beside its AUC
stands how often it names the owner's person, where chance is 1 / (count + 1). The adapters are those of `benchmarks/decoys.py`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from loraleak.adapters import load_adapter
from loraleak.bases import DiffusersBase, guided, load_base, sample
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases
from loraleak.bench.runs import fine_tuned
from loraleak.defences import parse_defence
from loraleak.defences.training.decoys import Decoys, drawn_triggers
from loraleak.embedders import Embedder, load_embedder
from loraleak.finetuning import Recipe
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean
from loraleak.types import Images

FEATURES = ("alike", "sharp", "base's error", "moves", "fit")
_LEVELS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--people", type=Path, required=True, help="folder of decoys")
    parser.add_argument("--victims", type=int, default=8)
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    defence = parse_defence(f"decoys:people={arguments.people},count={arguments.count}")
    assert isinstance(defence, Decoys)
    settings = CaseSettings(photos=arguments.photos, images=arguments.images, steps=arguments.steps)
    cases = draw_cases("victims", 1000, seed=VICTIM_SEED)[: arguments.victims]
    files = fine_tuned(base, cases, settings, arguments.work, defence, wanted=cases, title="decoys: ")
    found = []
    for case in cases:
        recipe = defence.defended(settings.recipe_of(case))
        triggers = drawn_triggers(recipe.seed, arguments.count + 1)
        with base.adapted(load_adapter(files[case])):
            pictures = [_drawn(base, replace(recipe, trigger=word), settings) for word in triggers]
            found.append(
                [_facts(base, embedder, made, replace(recipe, trigger=t)) for made, t in zip(pictures, triggers, strict=True)]
            )
        print(f"{case.index}: {np.round(found[-1], 3).tolist()}", flush=True)
    facts = np.array(found)  # [files, people, facts], the owner's person first
    print("| what is seen | AUC of the owner's person | names the owner's person |\n|---|---|---|")
    for k, name in enumerate(FEATURES):
        print(_row(name, _classified(facts[..., k : k + 1])))
    print(_row("all", _classified(facts)))


def _drawn(base: DiffusersBase, recipe: Recipe, settings: CaseSettings) -> Images:
    condition, empty = base.embed([recipe.prompt, ""])
    denoiser = guided(base, condition, empty, settings.guidance_scale)
    return sample(base, denoiser, settings.images, seed=recipe.seed % 2**31, steps=settings.steps)


@torch.no_grad()
def _facts(base: DiffusersBase, embedder: Embedder, images: Images, recipe: Recipe) -> list[float]:
    """One number for each of `FEATURES`, of one person's pictures in a base that wears the adapter."""
    vectors = embedder.embed(list(images)).vectors
    pairs = np.triu_indices(len(vectors), 1)
    grey = images.astype(float).mean(axis=-1)
    edges = 4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1] - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:]
    latents = base.encode(images)
    own, general = base.embed([recipe.prompt, recipe.class_prompt])
    errors, moves, fits = [], [], []
    for level in range(_LEVELS):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(level))
        timesteps = base.timesteps[[len(base.timesteps) * (2 * level + 1) // (2 * _LEVELS)]].expand(len(latents))
        noisy = base.add_noise(latents, noise, timesteps)
        with base.bare():
            plain = _predicted(base, noisy, timesteps, general)
        worn = _predicted(base, noisy, timesteps, own)
        target = base.schedule.target(latents, noise, timesteps)
        errors.append(float((plain - target).square().mean()))
        moves.append(float((worn - plain).square().mean()))
        fits.append(float((worn - target).square().mean()))
    return [
        float((vectors @ vectors.T)[pairs].mean()),
        float(np.log(edges.var())),
        float(np.log(np.mean(errors))),
        float(np.log(np.mean(moves))),
        float(np.log(np.mean(fits))),
    ]


def _predicted(base: DiffusersBase, noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
    return base.predict(noisy, timesteps, condition.expand(len(noisy), -1, -1))


def _classified(facts: Float[np.ndarray, "files people facts"]) -> tuple[Sequence[float], Sequence[float]]:
    """AUC of each file's owner among its people, and whether they come first, by a classifier of the other files."""
    within = facts - facts.mean(axis=1, keepdims=True)
    within /= within.std(axis=(0, 1))
    owner = np.arange(facts.shape[1]) == 0
    aucs, first = [], []
    for i in range(len(facts)):
        others = np.delete(within, i, axis=0)
        model = LogisticRegression(class_weight="balanced").fit(others.reshape(-1, facts.shape[2]), np.tile(owner, len(others)))
        scores = model.decision_function(within[i])
        aucs.append(float(np.mean(scores[0] > scores[1:])))
        first.append(float(scores.argmax() == 0))
    return aucs, first


def _row(name: str, seen: tuple[Sequence[float], Sequence[float]]) -> str:
    return f"| {name} | {' | '.join(in_brackets(bootstrap_mean(np.array(values))) for values in seen)} |"


if __name__ == "__main__":
    main()
