"""What a kit buys on pocket: audits of files that were stopped early, with kits from few and from many public people, and without.

    python benchmarks/kit_people.py work --people 50 200 400 --victims 50

The files are stopped after 50 steps, because nearly every file of the usual 250 steps is found in every way. A kit's people are nested.
All kits share their templates of other people, so that nothing but the attack differs between them. Wrong photos are those of people
whom nothing has seen. All intervals are over victims. A stopped run goes on.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np

from loraleak.arms import select_arms
from loraleak.auditing import OtherPeople, against_controls, against_other_people, people_of, verdict_of
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.nulls.drawn import draw_people as drawn_by_base
from loraleak.auditing.nulls.sources import people_drawn
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench import run_cases
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases, pictures
from loraleak.embedders import load_embedder
from loraleak.finetuning import Recipe
from loraleak.inversion import TrainSettings, WeightAutoencoder, read_attack, read_public_people, train_attack
from loraleak.kits import kit_for
from loraleak.people import TRAINING_STYLES, draw_people, identities_in, write_people
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean
from loraleak.types import Embeddings, Sightings
from loraleak.zoo import RecipeRanges, Zoo, build_zoo, plan_zoo

_PUBLIC_SEED = 11
_BLOCK, _OF_BLOCK = 440, 400
"""People of one zoo, and how many of them a kit may learn from. The others are held out or left over."""
_RANGES = RecipeRanges(steps=(30, 60), learning_rate=(3e-3, 6e-3), batch=1, prior_batch=1, snapshots=4)
_FILES = CaseSettings(images=2, steps=20, recipe=Recipe(steps=50))
_PROMPTS = ("lora-class", "lora-empty", "lora-guidance")
_TRAINED = ("lora-universal-z", "base-z", "lora-z", "lora-z-key")
_SELF_KEY = "lora-self-key"
_FLOOR = "base-class"
_LEVELS = (0.05, 0.01)

Arms = Mapping[str, Sightings]
Test = Callable[[Arms, Embeddings], float]
"""Test that gives the p-value of an adapter's pictures with these photos."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=[50, 200, 400])
    parser.add_argument("--train-steps", type=int, default=400)
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--wrong", type=int, default=100, help="other people whose photos are audited, for each victim")
    parser.add_argument("--only-learn", action="store_true", help="stop when the attacks are trained")
    arguments = parser.parse_args()
    work: Path = arguments.work

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    learned = {count: _attack(base, work, count, arguments.train_steps) for count in arguments.people}
    if arguments.only_learn:
        return
    kit = kit_for(base)
    assert kit is not None
    shipped = kit.attack_on(base)
    controls = kit.controls_for(_FILES.setup(base, embedder, shipped))
    assert shipped is not None and controls is not None

    cases = draw_cases("victims", arguments.victims + arguments.wrong, seed=VICTIM_SEED)
    victims = cases[: arguments.victims]

    def sampled(names: Sequence[str], attack: WeightAutoencoder | None) -> list[Arms]:
        made = run_cases(base, embedder, victims, select_arms(names), _FILES, work / "cases", attack)
        return [result.sightings for result in made]

    untrained = sampled((*_PROMPTS, _SELF_KEY, _FLOOR), None)
    by_kit = {
        f"{count:,} people" if count else "2,300 people, the kit that ships": _joined(untrained, sampled(_TRAINED, attack))
        for count, attack in [*learned.items(), (0, shipped)]
    }
    usual = by_kit["2,300 people, the kit that ships"]

    drawing = AuditSettings(guidance_scale=_FILES.guidance_scale, steps=_FILES.steps).drawing
    drawn = people_drawn(drawn_by_base(base, **drawing, quiet=False), embedder)
    strangers = draw_cases("public", 200, seed=VICTIM_SEED, styles=TRAINING_STYLES)
    folder = OtherPeople(
        tuple(embedder.embed(pictures(case.person, 5, seed=(0, case.index, 2))).vectors for case in strangers), "people"
    )
    with_kit = (*_PROMPTS, *_TRAINED)
    no_kit = (*_PROMPTS, _SELF_KEY)

    def whole_kit(arms: Arms, photos: Embeddings) -> float:
        tests = [against_other_people(arms, photos, people_of(controls), attacks=with_kit, floor=_FLOOR)]
        made = {name: shown.vectors for name, shown in arms.items()}
        return verdict_of([*tests, against_controls(made, photos, controls, with_kit)]).p_value

    ways: list[tuple[str, list[Arms], Test]] = [
        ("kit: attack, control adapters, 200 other people", usual, whole_kit),
        ("kit, compared with its 200 other people alone", usual, _among(people_of(controls), with_kit)),
        ("kit's attack, 200 people of a folder", usual, _among(folder, with_kit)),
        ("kit's attack, 99 people whom the base draws", usual, _among(drawn, with_kit)),
        ("no kit, 200 people of a folder", usual, _among(folder, no_kit)),
        ("no kit, 99 people whom the base draws", usual, _among(drawn, no_kit)),
        ("no kit, prompts only, 200 people of a folder", usual, _among(folder, _PROMPTS)),
    ]
    by_people = [(name, arms, _among(people_of(controls), with_kit)) for name, arms in by_kit.items()]
    reader = [(f"{name}: `lora-z` alone", arms, _among(people_of(controls), ("lora-z",))) for name, arms in by_kit.items()]
    key = [
        (f"{name}: `lora-universal-z` alone", arms, _among(people_of(controls), ("lora-universal-z",)))
        for name, arms in by_kit.items()
    ]
    own = [embedder.embed(list(_FILES.private_images(case))).vectors for case in victims]
    wrong = [embedder.embed(list(_FILES.private_images(case))).vectors for case in cases[arguments.victims :]]
    print(f"{len(victims)} victims, {len(wrong)} wrong people each\n")
    print("| audit | right, p <= .05 | right, p <= .01 | wrong, p <= .05 | wrong, p <= .01 |\n|---|---|---|---|---|")
    found = {name: _row(name, arms, test, own, wrong) for name, arms, test in [*ways, *by_people, *reader, *key]}
    print("\n| paired difference in right people, p <= .01 | |\n|---|---|")
    for one, other in [
        (ways[0][0], ways[4][0]),
        (ways[0][0], ways[5][0]),
        (ways[1][0], ways[4][0]),
        *((by_people[-1][0], name) for name, *_ in by_people[:-1]),
        *((reader[-1][0], name) for name, *_ in reader[:-1]),
    ]:
        print(f"| {one} less {other} | {in_brackets(bootstrap_mean(found[one] - found[other]))} |")


def _attack(base: DiffusersBase, work: Path, count: int, steps: int) -> WeightAutoencoder:
    """An attack that learned from so many people."""
    file = work / f"attack-{count}.safetensors"
    if not file.exists():
        zoos = [_zoo(base, work, block) for block in range(ceil(count / _OF_BLOCK))]
        training = TrainSettings(steps=steps, evaluate_every=100)
        public = read_public_people(zoos, identities_in(work / "public"), base, held_out=training.held_out)
        made = train_attack(base, public.with_fewer(count, seed=0), training, work / f"training-{count}")
        made.save(file)
    return read_attack(file).on(base)


def _zoo(base: DiffusersBase, work: Path, block: int) -> Zoo:
    first = block * _BLOCK
    people = draw_people("public", first + _BLOCK, seed=_PUBLIC_SEED)[first:]
    written = write_people(work / "public", people, images=8, size=64, seed=_PUBLIC_SEED, first=first)
    folder = str(work / f"zoo-{block}")
    names = {home.name for home in written}
    plan = plan_zoo([person for person in identities_in(work / "public") if person.name in names], _RANGES)
    failures = build_zoo(plan, work / "public", folder, base)
    assert not failures, failures
    return Zoo(folder)


def _joined(one: Sequence[Arms], other: Sequence[Arms]) -> list[Arms]:
    return [{**mine, **theirs} for mine, theirs in zip(one, other, strict=True)]


def _among(others: OtherPeople, attacks: Sequence[str]) -> Test:
    return lambda arms, photos: against_other_people(arms, photos, others, attacks=attacks, floor=_FLOOR).p_value


def _row(name: str, arms: Sequence[Arms], test: Test, own: Sequence[Embeddings], wrong: Sequence[Embeddings]) -> np.ndarray:
    """Print one row, and give who was found at the stricter level."""
    right = np.array([test(mine, photos) for mine, photos in zip(arms, own, strict=True)])
    alarms = np.array([[test(mine, photos) for photos in wrong] for mine in arms])
    cells = [in_brackets(bootstrap_mean((right <= level).astype(float))) for level in _LEVELS]
    cells += [in_brackets(bootstrap_mean((alarms <= level).mean(axis=1))) for level in _LEVELS]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return (right <= _LEVELS[-1]).astype(float)


if __name__ == "__main__":
    main()
