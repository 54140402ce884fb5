"""Which photos was an adapter trained on? Every score of one photo, against other photos of the same person and three controls.

    python benchmarks/membership.py work --people 60 --photos 5
    python benchmarks/membership.py work --people 60 --photos 20 --defence gaussian-noise:level=2

A stopped run goes on. Members are the photos of an adapter. Non-members are, row by row: as many other photos of the same person in
other looks; the same with the members' backgrounds; photos of other people; and near copies of the members, the same looks at another
scale and angle. AUC and TPR@1%FPR are over all photos of all people, TPR within person at the threshold of the pooled non-members of
that row. Intervals are over people.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.adapters import load_adapter
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases
from loraleak.bench.runs import fine_tuned
from loraleak.defences import UNDEFENDED, in_training, parse_defence
from loraleak.leaks.membership import probing_of
from loraleak.leaks.photo_scores import PHOTO_SCORES
from loraleak.people import Look, Person, draw_look, render
from loraleak.progress import track
from loraleak.types import Images

_MEMBERS = "members"
_ROWS = ("same person", "same person, same backgrounds", "other people", "near copies of the photos")
_RESAMPLES = 2000

Pictures = Mapping[str, Images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument("--compared", type=int, default=8, help="photos of each kind that are scored")
    parser.add_argument("--defence", default="")
    parser.add_argument("--scores", nargs="+", choices=tuple(PHOTO_SCORES), default=list(PHOTO_SCORES))
    arguments = parser.parse_args()

    base = load_base("pocket", device="cpu")
    settings = CaseSettings(photos=arguments.photos)
    cases = draw_cases("victims", arguments.people + 1, seed=VICTIM_SEED)
    defence = parse_defence(arguments.defence) if arguments.defence else UNDEFENDED
    trained = UNDEFENDED if defence.stage == "post-hoc" else in_training(defence)
    files = fine_tuned(base, cases[:-1], settings, arguments.work, trained)
    found: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in arguments.scores}
    for case, stranger in track(list(pairwise(cases)), "scoring", arguments.people):
        kept = (
            arguments.work
            / "scores"
            / f"{files[case].parent.name}-{arguments.defence}-{arguments.compared}"
            / f"{case.index}.npz"
        )
        adapter = load_adapter(files[case])
        if defence.stage == "post-hoc":
            adapter = defence.apply(adapter, base)
        shown = _pictures(case, stranger, settings, arguments.compared)
        with base.adapted(adapter):
            for name, scored in _scored(base, settings, shown, arguments.scores, kept).items():
                found[name].append(scored)
    print(f"| score | non-members | AUC | TPR@1%FPR | AUC within a person |\n{'|---' * 5}|", flush=True)
    for name, people in found.items():
        for row in _ROWS:
            pairs = [(scores[_MEMBERS], scores[row]) for scores in people]
            cells = [_interval(pairs, figure) for figure in (_auc, _true_positives, _within)]
            print(f"| `{name}` | {row} | {' | '.join(cells)} |", flush=True)


def _pictures(case: Case, stranger: Case, settings: CaseSettings, count: int) -> Pictures:
    """Members and all kinds of non-members, at most `count` of each."""
    private = settings.private_images(case)
    looks = _looks((settings.seed, case.index, 0), case.person, settings.photos)
    assert np.array_equal(render(case.person, looks[0]), private[0])  # the looks are those of the private images
    fresh = _looks((settings.seed, case.index, 6), case.person, count)
    behind = [looks[i % len(looks)].background for i in range(count)]
    moved = _looks((settings.seed, case.index, 7), case.person, count)
    near = [
        replace(look, scale=other.scale, rotate=other.rotate, shift_x=other.shift_x, shift_y=other.shift_y)
        for look, other in zip(looks, moved, strict=False)
    ]
    others = _looks((settings.seed, case.index, 8), stranger.person, count)

    def drawn(person: Person, chosen: Sequence[Look]) -> Images:
        return np.stack([render(person, look) for look in chosen])

    return {
        _MEMBERS: np.asarray(private[:count]),
        _ROWS[0]: drawn(case.person, fresh),
        _ROWS[1]: drawn(case.person, [replace(look, background=b) for look, b in zip(fresh, behind, strict=True)]),
        _ROWS[2]: drawn(stranger.person, others),
        _ROWS[3]: drawn(case.person, near),
    }


def _looks(seed: tuple[int, ...], person: Person, count: int) -> list[Look]:
    rng = np.random.default_rng(seed)
    return [draw_look(rng, person.style) for _ in range(count)]


def _scored(
    base: DiffusersBase, settings: CaseSettings, shown: Pictures, names: Sequence[str], kept: Path
) -> dict[str, dict[str, Float[np.ndarray, " photos"]]]:
    """Scores of each kind of photo by name of the score, kept on disk."""
    done = dict(np.load(kept)) if kept.exists() else {}
    latents = base.encode(np.concatenate(list(shown.values()))) if any(name not in done for name in names) else None
    for name in names:
        if name not in done:
            assert latents is not None
            probing = probing_of(base, settings.recipe.class_prompt, seed=settings.seed)
            done[name] = PHOTO_SCORES[name](probing, latents).double().cpu().numpy()
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, allow_pickle=False, **done)
    ends = np.cumsum([len(images) for images in shown.values()])[:-1]
    return {name: dict(zip(shown, np.split(done[name], ends), strict=True)) for name in names}


Pairs = Sequence[tuple[Float[np.ndarray, " members"], Float[np.ndarray, " others"]]]


def _auc(pairs: Pairs) -> float:
    members, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float((members[:, None] > others).mean() + (members[:, None] == others).mean() / 2)


def _true_positives(pairs: Pairs) -> float:
    members, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float((members > np.quantile(others, 0.99, method="higher")).mean())


def _within(pairs: Pairs) -> float:
    return float(np.mean([_auc([pair]) for pair in pairs]))


def _interval(pairs: Pairs, figure: Callable[[Pairs], float]) -> str:
    """The figure with a bootstrap interval over people."""
    rng = np.random.default_rng(0)
    drawn = [figure([pairs[i] for i in rng.integers(len(pairs), size=len(pairs))]) for _ in range(_RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{figure(pairs):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
