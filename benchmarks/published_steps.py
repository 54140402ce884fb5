"""The timestep claim with the published encoder: is every step of fine-tuning an example of its own?

python benchmarks/published_steps.py ZOO --people DIR     ZOO has one start for all, which is where the published network reads

The same runs and updates, three ways: all snapshots with the step told, all snapshots without it, last weights only. Each is judged on
the last adapters of held-out people. `ridge` is kernel ridge regression from the same numbers, with the steps not told.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from published import Recorded, kernel, settings_of
from published_scores import scores_of, shown_scores

from loraleak.bases import load_base
from loraleak.inversion.public import PublicPeople, read_public_people
from loraleak.inversion.replay import replayed
from loraleak.people import identities_in
from loraleak.zoo.store import Zoo

_WAYS = {
    "all steps, embedded": {},
    "all steps, not embedded": {"told_steps": 0.0},
    "last weights only": {"step_embedding": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 200, 331])
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--held-out", type=float, default=0.18)
    parser.add_argument("--work", type=Path, default=Path("published-work"))
    arguments = parser.parse_args()
    base = load_base("pocket", device="cpu")
    public = read_public_people([Zoo(arguments.zoo)], identities_in(arguments.people), base, held_out=arguments.held_out)
    for count in arguments.counts:
        few = public.with_fewer(count, seed=0)
        by_way = {name: _trained(base, few, name, arguments) for name in _WAYS}
        by_way |= {f"ridge, {name}": _regressed(few, last_only=last) for name, last in (("all steps", False), ("last", True))}
        for name, scores in by_way.items():
            print(f"{count:>5} people, {name:<26} {shown_scores(scores)}", flush=True)
        for one, other in (*((way, "last weights only") for way in tuple(_WAYS)[:2]), ("ridge, all steps", "ridge, last")):
            less = {metric: by_way[one][metric] - by_way[other][metric] for metric in by_way[one]}
            print(f"{count:>5} people, {one}, less {other}  {shown_scores(less)}", flush=True)


def _trained(base, public: PublicPeople, way: str, arguments) -> dict[str, np.ndarray]:
    folder = arguments.work / f"{len(public.trained)} people, {way}"
    if not (folder / "result.json").exists():
        settings = replace(settings_of(arguments, "shared-start"), warmup=30, **_WAYS[way])
        training = Recorded(base, public, settings, folder)
        training.run(replayed(training))
        rows = public.rows(0, held_out=True, last_only=True)
        examples = public.examples(0, rows, "shared-start")
        told = examples.steps if settings.told_steps else torch.zeros_like(examples.steps)
        with torch.no_grad():
            z = training.best_encoder()(examples.read, told).mean.flatten(1)
        scores = {name: values.tolist() for name, values in scores_of(public, z, examples.people).items()}
        (folder / "result.json").write_text(json.dumps(scores) + "\n")
    return {name: np.array(values) for name, values in json.loads((folder / "result.json").read_text()).items()}


def _regressed(public: PublicPeople, *, last_only: bool) -> dict[str, np.ndarray]:
    rows = public.rows(0, held_out=False, last_only=last_only), public.rows(0, held_out=True, last_only=True)
    known, unknown = (public.examples(0, mine, "shared-start") for mine in rows)
    likeness, n = kernel([known.read, unknown.read], "A and B"), len(rows[0])
    captions = public.captions.flatten(1)[known.people]
    weights = torch.linalg.solve(likeness[:n, :n] + 1e-2 * torch.eye(n), captions - captions.mean(0))
    return scores_of(public, captions.mean(0) + likeness[n:, :n] @ weights, unknown.people)


if __name__ == "__main__":
    main()
