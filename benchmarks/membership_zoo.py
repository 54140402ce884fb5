"""Which photos was an adapter trained on, where nobody knows the recipe? Scores of one photo over the people of a zoo, by number of
photos.

    python benchmarks/membership_zoo.py zoo --people people --work work

A stopped run goes on. The people are drawn ones, as `loraleak people` writes them. Non-members are other looks of the same person, and
near copies of the members: the same looks at another scale and angle. `gradient` is the inner product of dW with the gradient of the
photo's loss (the idea of SELECT), as the derivative of the loss along dW. `combined` is Fisher's discriminant of the logarithms of the
losses at all levels, learned on the other half of the people. Intervals are over people.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.bases import DiffusersBase, load_base
from loraleak.finetuning import Recipe
from loraleak.leaks.membership import probing_of
from loraleak.people import Look, Person, draw_look, render
from loraleak.progress import track
from loraleak.scores import bootstrap_mean
from loraleak.types import Adapter, Images
from loraleak.zoo import Zoo

_STEP = 0.1
_KINDS = ("members", "same person", "near copies")
_BUCKETS = ((2, 8), (9, 35), (36, 100))

Losses = Mapping[str, Float[np.ndarray, "photos levels"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoos", nargs="+")
    parser.add_argument("--people", type=Path, nargs="+", required=True, help="one folder for each zoo")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--compared", type=int, default=6, help="photos of each kind that are scored")
    parser.add_argument("--fewest", type=int, default=2, help="files that were trained on fewer photos are left out")
    arguments = parser.parse_args()

    base = load_base("pocket", device="cpu")
    files: list[tuple[int, dict[str, Losses]]] = []
    for name, people in zip(arguments.zoos, arguments.people, strict=True):
        zoo = Zoo(name)
        rows = [int(row) for row in zoo.last_rows() if zoo.manifest["images"][int(row)].as_py() >= arguments.fewest]
        for row in track(rows, "scoring", len(rows)):
            person = str(zoo.manifest["person"][row].as_py())
            kept = arguments.work / f"{person}.npz"
            if not kept.exists():
                shown = _pictures(people / person, arguments.compared)
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, allow_pickle=False, **_losses(base, zoo.adapter(row), shown))
            files.append((int(zoo.manifest["images"][row].as_py()), _by_kind(dict(np.load(kept)))))
    _print(files)


def _pictures(home: Path, count: int) -> dict[str, Images]:
    """Members, other looks of the person, and near copies of the members. Everybody was trained on all photos of the folder."""
    facts = json.loads((home / "person.json").read_text("utf-8"))
    person, looks = Person(**facts["traits"]), [Look(**look) for look in facts["looks"]]
    rng = np.random.default_rng([26, int(home.name.rsplit("-", 1)[1])])
    used = [looks[i] for i in sorted(rng.choice(len(looks), min(count, len(looks)), replace=False))]
    fresh, moved = ([draw_look(rng, person.style) for _ in range(count)] for _ in range(2))
    near = [
        replace(look, scale=other.scale, rotate=other.rotate, shift_x=other.shift_x, shift_y=other.shift_y)
        for look, other in zip(used, moved, strict=False)
    ]
    return {
        kind: np.stack([render(person, look) for look in chosen])
        for kind, chosen in zip(_KINDS, (used, fresh, near), strict=True)
    }


def _losses(base: DiffusersBase, adapter: Adapter, shown: Mapping[str, Images]) -> dict[str, np.ndarray]:
    """Losses of all pictures at all levels: of the base, with a tenth of the update, and with all of it."""
    latents = base.encode(np.concatenate(list(shown.values())))
    probing = probing_of(base, Recipe().class_prompt, seed=0)
    with base.adapted(adapter):
        with base.bare():
            before = probing.errors(latents)
        with base.multiplied(_STEP):
            slightly = probing.errors(latents)
        after = probing.errors(latents)
    counts = np.array([len(images) for images in shown.values()])
    return {"before": before.numpy(), "slightly": slightly.numpy(), "after": after.numpy(), "counts": counts}


def _by_kind(held: Mapping[str, np.ndarray]) -> dict[str, Losses]:
    ends = np.cumsum(held["counts"])[:-1]
    parts = {name: np.split(held[name], ends) for name in ("before", "slightly", "after")}
    return {kind: {name: part[k] for name, part in parts.items()} for k, kind in enumerate(_KINDS)}


SCORES: Mapping[str, Callable[[Losses], Float[np.ndarray, " photos"]]] = {
    "loss-ratio": lambda at: np.log(at["before"] / at["after"]).mean(1),
    "loss-difference": lambda at: (at["before"] - at["after"]).mean(1),
    "loss": lambda at: -at["after"].mean(1),
    "gradient": lambda at: ((at["before"] - at["slightly"]) / _STEP).mean(1),
}


def _features(at: Losses) -> Float[np.ndarray, "photos features"]:
    return np.hstack([np.log(at["before"] / at["after"]), np.log(at["before"] / at["slightly"]) / _STEP, np.log(at["after"])])


def _print(files: Sequence[tuple[int, dict[str, Losses]]]) -> None:
    print("| photos | people | non-members | score | AUC within a person | TPR@1%FPR over all people |\n" + "|---" * 6 + "|")
    for low, high in _BUCKETS:
        chosen = [kinds for count, kinds in files if low <= count <= high]
        if len(chosen) < 2:
            continue
        scored = {name: [{kind: score(at) for kind, at in kinds.items()} for kinds in chosen] for name, score in SCORES.items()}
        scored["combined"] = _combined(chosen)
        for kind in _KINDS[1:]:
            for name, people in scored.items():
                within = bootstrap_mean(np.array([_auc(one[_KINDS[0]], one[kind]) for one in people]))
                auc = f"{within.mean:.3f} [{within.low:.3f}, {within.high:.3f}]"
                rate = _true_positives(people, kind)
                print(f"| {low} to {high} | {len(chosen)} | {kind} | `{name}` | {auc} | {rate} |", flush=True)


def _combined(chosen: Sequence[dict[str, Losses]]) -> list[dict[str, Float[np.ndarray, " photos"]]]:
    """Fisher's discriminant, learned on every second person and used on the others, and the other way round."""
    halves = (list(chosen[::2]), list(chosen[1::2]))
    directions = [_discriminant(half) for half in halves]
    return [
        {kind: _features(at) @ directions[(place + 1) % 2] for kind, at in kinds.items()} for place, kinds in enumerate(chosen)
    ]


def _discriminant(people: Sequence[dict[str, Losses]]) -> Float[np.ndarray, " features"]:
    """The direction that tells members from others of the same person; what differs between people is taken away first."""
    members, others = [], []
    for kinds in people:
        mine, theirs = _features(kinds[_KINDS[0]]), _features(kinds[_KINDS[1]])
        centre = (mine.mean(0) + theirs.mean(0)) / 2
        members.append(mine - centre)
        others.append(theirs - centre)
    inside, outside = np.concatenate(members), np.concatenate(others)
    spread = np.cov(np.vstack([inside - inside.mean(0), outside - outside.mean(0)]).T)
    shrunk = spread + 0.1 * np.trace(spread) / len(spread) * np.eye(len(spread))
    direction: np.ndarray = np.linalg.solve(shrunk, inside.mean(0) - outside.mean(0))
    return direction


def _auc(members: Float[np.ndarray, " members"], others: Float[np.ndarray, " others"]) -> float:
    return float((members[:, None] > others).mean() + (members[:, None] == others).mean() / 2)


def _true_positives(people: Sequence[Mapping[str, np.ndarray]], kind: str) -> str:
    """Share of members above all but 1% of the others, each person's scores less the mean of that person's others."""
    rng = np.random.default_rng(0)
    pairs = [(one[_KINDS[0]] - one[kind].mean(), one[kind] - one[kind].mean()) for one in people]

    def figure(rows: np.ndarray) -> float:
        members, others = (np.concatenate([pairs[row][side] for row in rows]) for side in (0, 1))
        return float((members > np.quantile(others, 0.99, method="higher")).mean())

    drawn = [figure(rng.integers(len(pairs), size=len(pairs))) for _ in range(500)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{figure(np.arange(len(pairs))):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
