"""A key that is searched for by the adapted model and the base alone, beside the learned key and prompts.

    python benchmarks/self_key.py work                            # 50 victims among 1,000 people; goes on where it was stopped
    python benchmarks/self_key.py work --split public --settings  # how its settings were chosen, on people who are no victims

Intervals are over victims. A failure is a victim to whom the arm's pictures are less alike than those of `lora-class`.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from loraleak.adapters import load_adapter
from loraleak.arms import Arm, LoraSelfKey, Scene, reconstruct, select_arms
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.arms import victim_scores
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases, person_on, templates
from loraleak.bench.runs import fine_tuned, run_cases
from loraleak.embedders import load_embedder
from loraleak.kits import attack_for
from loraleak.people.splits import Split
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean, paired_difference

_DEVELOPMENT_SEED = 21
_OTHERS = ("base-class", "lora-class", "lora-guidance", "lora-universal-z", "lora-trigger")
_METRICS = ("rank1", "tar_at_1_far", "cosine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where adapters and pictures' embeddings are kept")
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--gallery", type=int, default=1000)
    parser.add_argument("--split", choices=("victims", "public"), default="victims")
    parser.add_argument("--settings", action="store_true", help="other numbers of words and steps too")
    arguments = parser.parse_args()

    base, embedder, settings = load_base("pocket", device="cpu"), load_embedder("pocket"), CaseSettings()
    attack = attack_for(base)
    split: Split = arguments.split
    seed = VICTIM_SEED if split == "victims" else _DEVELOPMENT_SEED
    cases = draw_cases(split, arguments.gallery, seed=seed)
    victims = cases[: arguments.victims]
    arms = (*select_arms(_OTHERS), LoraSelfKey(), *_ablations(more=arguments.settings))

    results = run_cases(base, embedder, victims, arms, settings, arguments.folder, attack)
    gallery = templates(cases, embedder, seed=settings.seed, private=CaseSettings().photos)
    photos = [person_on(result.private_images, embedder).vectors for result in results]
    scores = {arm.name: victim_scores([r.arms[arm.name] for r in results], photos, gallery) for arm in arms}

    adapter = load_adapter(fine_tuned(base, victims[:1], settings, arguments.folder)[victims[0]])
    scene = Scene(base, adapter, owner_prompt=settings.recipe_of(victims[0]).prompt, attack=attack)
    costs = _costs(scene, arms, settings)

    print(f"{len(victims)} people of the split {split} among {len(gallery)}\n")
    print("| arm | rank-1 | TAR@1%FAR | cosine | rank-1 less `lora-class` | failures | passes | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for name, by_metric in scores.items():
        columns = [in_brackets(bootstrap_mean(by_metric[metric])) for metric in _METRICS]
        over = in_brackets(paired_difference(by_metric["rank1"], scores["lora-class"]["rank1"]))
        failures = in_brackets(bootstrap_mean((by_metric["cosine"] < scores["lora-class"]["cosine"]).astype(np.float64)))
        passes, seconds = costs[name]
        print(f"| `{name}` | {' | '.join(columns)} | {over} | {failures} | {passes:,} | {seconds:.1f} |")

    own = scores["lora-self-key"]
    print("\n| `lora-self-key` less | rank-1 | TAR@1%FAR | cosine |")
    print("|---|---|---|---|")
    for name, by_metric in scores.items():
        if name != "lora-self-key":
            print(f"| `{name}` | {' | '.join(in_brackets(paired_difference(own[m], by_metric[m])) for m in _METRICS)} |")


def _ablations(*, more: bool) -> list[LoraSelfKey]:
    """The search with one part changed, named by it."""
    changed: list[dict[str, Any]] = [{"steps": 0}]
    if more:
        changed += [{"words": n, "steps": 0} for n in (1, 4, 12)]
        changed += [{"steps": 12, "reach": reach} for reach in (0.05, 0.1, 0.2)]
        changed += [{"words": 0, "steps": 12, "reach": reach} for reach in (0.05, 0.1, 0.2)]
    return [LoraSelfKey(name=f"lora-self-key {' '.join(f'{k}={v}' for k, v in new.items())}", **new) for new in changed]


def _costs(scene: Scene, arms: Sequence[Arm], settings: CaseSettings) -> dict[str, tuple[int, float]]:
    """By arm, pictures through the denoiser and seconds of processor time, for one adapter; a backward pass counts as two."""
    costs: dict[str, tuple[int, float]] = {}
    passes = 0

    def count(denoiser: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        nonlocal passes
        passes += len(given[0]) * (3 if torch.is_grad_enabled() else 1)

    hook = _denoiser(scene.base).register_forward_hook(count)
    for arm in arms:
        passes, start = 0, time.process_time()
        reconstruct(scene, [arm], images=settings.images, seed=0, steps=settings.steps)
        costs[arm.name] = passes, time.process_time() - start
    hook.remove()
    return costs


def _denoiser(base: DiffusersBase) -> nn.Module:
    model: nn.Module = base.denoiser
    return model


if __name__ == "__main__":
    main()
