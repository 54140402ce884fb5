"""Copies of files whose stated strength is not ordinary: does an audit see through it?

    python benchmarks/strength.py work --victims 20     # goes on where it was stopped

Every copy holds what the victim's file holds, under another scale or sign. An audit finds a strength of its own and samples there.
Copies of one file that are run at the same strength, to three digits, share their pictures.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from loraleak.adapters import load_adapter
from loraleak.arms import Scene, at_strength, find_strength, reconstruct, select_arms, with_turned
from loraleak.auditing import OtherPeople, against_other_people, people_of
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases
from loraleak.bench.runs import fine_tuned
from loraleak.embedders import Embedder, load_embedder
from loraleak.files import replacing, write_json
from loraleak.inversion import WeightAutoencoder
from loraleak.kits import Controls, attack_for, controls_for
from loraleak.progress import track
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean, paired_difference
from loraleak.types import Adapter, Embeddings, Sightings

_ATTACKS = ("lora-class", "lora-empty", "lora-guidance", "lora-universal-z", "base-z", "lora-z", "lora-z-key")
_FLOOR = "base-class"
_IMAGES, _STEPS = 4, 10
_SETTINGS = CaseSettings()
_COPIES: Mapping[str, float] = {
    "as it is": 1.0,
    "negated": -1.0,
    "alpha 0": 0.0,
    "times 0.001": 1e-3,
    "times 10,000": 1e4,
    "alpha / 100": 1e-2,
}


@dataclass(frozen=True)
class _Sign:
    """How an audit runs a copy."""

    run_at: float
    """Factor of the victim's own file: negative where the audit turns it round."""
    both: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where adapters and pictures' embeddings are kept")
    parser.add_argument("--victims", type=int, default=20)
    parser.add_argument("--wrong", type=int, default=100, help="other people whose photos are audited, for each file")
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    attack = attack_for(base)
    cases = draw_cases("victims", arguments.victims + arguments.wrong, seed=VICTIM_SEED)
    victims, others = cases[: arguments.victims], cases[arguments.victims :]
    files = list(fine_tuned(base, victims, _SETTINGS, arguments.folder).values())
    photos = [_photos(embedder, case) for case in victims]
    wrong = [_photos(embedder, case) for case in others]
    people = people_of(_controls(base, embedder, attack))

    todo = [(name, i) for name in _COPIES for i in range(len(victims))]
    p_values: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in _COPIES}
    signs: dict[str, list[_Sign]] = {name: [] for name in _COPIES}
    for name, i in track(todo, "copies", len(todo)):
        sign, made = _sampled(base, embedder, attack, load_adapter(files[i]), _COPIES[name], victims[i], arguments.folder)
        signs[name].append(sign)
        p_values[name].append((_p(made, photos[i], people), [_p(made, theirs, people) for theirs in wrong]))

    print(f"{len(victims)} victims, {len(wrong)} wrong people each; null: {people.says}\n")
    print(
        "| copy | run at (median) | both signs | wrong sign | right, p <= .05 | less as it is | wrong, p <= .05 | wrong, p <= .01 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    usual = _found(p_values["as it is"])
    for name in _COPIES:
        strengths = np.array([abs(sign.run_at) for sign in signs[name]])
        kinds = [sum(sign.both for sign in signs[name]), sum(not sign.both and sign.run_at < 0 for sign in signs[name])]
        found = _found(p_values[name])
        alarms = [in_brackets(bootstrap_mean(_alarms(p_values[name], level))) for level in (0.05, 0.01)]
        print(
            f"| {name} | {np.median(strengths):.2f} | {kinds[0]} | {kinds[1]} of {len(victims)} | {in_brackets(bootstrap_mean(found))} "
            f"| {in_brackets(paired_difference(found, usual))} | {' | '.join(alarms)} |"
        )


def _sampled(
    base: DiffusersBase,
    embedder: Embedder,
    attack: WeightAutoencoder | None,
    adapter: Adapter,
    stated: float,
    case: Case,
    folder: Path,
) -> tuple[_Sign, Mapping[str, Sightings]]:
    """How an audit runs a copy, and what its arms show."""
    home = folder / "strength" / adapter.sha256[:16]
    prompt, seed = _SETTINGS.recipe.class_prompt, _SETTINGS.seed + case.index
    copy = replace(adapter, factors={n: replace(f, scale=stated * (f.scale or 1.0)) for n, f in adapter.factors.items()})
    found = home / f"{stated:g}.json"
    if not found.exists():
        strength = find_strength(base, copy, prompt, guidance_scale=_SETTINGS.guidance_scale, seed=seed)
        write_json(found, {"factor": strength.factor, "both": strength.both})
    held = json.loads(found.read_text())
    factor, both = float(held["factor"]), bool(held["both"])
    run_at = factor * (stated or 1.0)
    file = home / f"{'both' if both else 'at'}-{run_at:.3g}.npz"
    if not file.exists():
        scene = Scene(base, at_strength(copy, factor), class_prompt=prompt, attack=attack, seed=seed)
        arms = select_arms((*_ATTACKS, _FLOOR))
        made = reconstruct(scene, with_turned(arms) if both else arms, images=_IMAGES, seed=seed, steps=_STEPS)
        vectors = {name: embedder.embed(list(images)).vectors for name, images in made.items()}
        with replacing(file) as partial:
            np.savez(partial, allow_pickle=False, **vectors)
    with np.load(file, allow_pickle=False) as kept:
        return _Sign(run_at, both), {name: Sightings.one_each(kept[name]) for name in kept.files}


def _controls(base: DiffusersBase, embedder: Embedder, attack: WeightAutoencoder | None) -> Controls:
    controls = controls_for(_SETTINGS.setup(base, embedder, attack))
    assert controls is not None
    return controls


def _photos(embedder: Embedder, case: Case) -> Embeddings:
    return embedder.embed(list(_SETTINGS.private_images(case))).vectors


def _p(made: Mapping[str, Sightings], photos: Embeddings, people: OtherPeople) -> float:
    return against_other_people(made, photos, people, attacks=[name for name in made if name != _FLOOR], floor=_FLOOR).p_value


def _found(p_values: Sequence[tuple[float, list[float]]]) -> np.ndarray:
    return np.array([float(right <= 0.05) for right, _ in p_values])


def _alarms(p_values: Sequence[tuple[float, list[float]]], level: float) -> np.ndarray:
    return np.array([np.mean(np.array(wrong) <= level) for _, wrong in p_values])


if __name__ == "__main__":
    main()
