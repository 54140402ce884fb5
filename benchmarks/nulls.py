"""Error rates of the verdict's nulls on pocket: how often each flags the wrong person, and how often it finds the right one.

    python benchmarks/nulls.py --victims 50 --wrong 100 --work bench

Every victim's adapter is audited with the victim's own photos, and with those of many other people. There are three populations: people
of the styles that pocket knows; wrong people in the clothes, poses and backgrounds of the photos that the adapter was trained on;
and people of a style that neither pocket nor any control has seen. The victim is the unit of every interval. A stopped run goes on
from `--work`.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.arms import select_arms
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.nulls.controls import against_controls
from loraleak.auditing.nulls.drawn import draw_people
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.nulls.sources import people_drawn, people_of
from loraleak.auditing.verdict import verdict_of
from loraleak.bases import load_base
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases, pictures
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.embedders import Embedder, load_embedder
from loraleak.kits import Controls, attack_for, controls_for
from loraleak.people import TRAINING_STYLES
from loraleak.people.avatars import draw_look, render
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean
from loraleak.types import Embeddings, Sightings

_ATTACKS = ("lora-class", "lora-empty", "lora-guidance", "lora-universal-z", "base-z", "lora-z", "lora-z-key")
_SETTINGS = CaseSettings()
_PROMPTS = ("lora-class", "lora-empty", "lora-guidance")
_UNTRAINED = (*_PROMPTS, "lora-self-key")
"""Arms of an attacker on a base for which nobody has trained an attack."""

Test = Callable[[Mapping[str, Embeddings], Embeddings], float]
"""Test that gives the p-value of an adapter's embedded pictures with these photos."""


@dataclass(frozen=True)
class Population:
    """Victims, and for each of them the photos of wrong people."""

    name: str
    results: Sequence[CaseResult]
    own: Sequence[Embeddings]
    wrong: Sequence[Sequence[Embeddings]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--unknown-style", type=int, default=20, help="victims of a style that no control has")
    parser.add_argument("--wrong", type=int, default=100, help="other people whose photos are audited, for each victim")
    parser.add_argument("--work", type=Path, default=Path("bench"))
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    attack = attack_for(base)
    controls = controls_for(_SETTINGS.setup(base, embedder, attack))
    assert controls is not None
    drawing = AuditSettings(guidance_scale=_SETTINGS.guidance_scale, steps=_SETTINGS.steps).drawing

    def run(cases: Sequence[Case]) -> list[CaseResult]:
        return run_cases(
            base, embedder, cases, select_arms((*_ATTACKS, "lora-self-key")), _SETTINGS, arguments.work / "cases", attack
        )

    usual = draw_cases("victims", arguments.victims + arguments.wrong, seed=VICTIM_SEED)
    strange = draw_cases("victims", arguments.unknown_style + arguments.wrong, seed=VICTIM_SEED, styles=("toon-head",))
    drawn = people_drawn(draw_people(base, **drawing, quiet=False), embedder)
    sources = {
        "control adapters": lambda arms, photos: against_controls(arms, photos, controls, _ATTACKS).p_value,
        "people of the controls, 8 photos each": _among(people_of(controls)),
        "people of a folder, one photo each": _among(_one_photo_each(embedder, TRAINING_STYLES)),
        "people whom the base draws": _among(drawn),
        "people whom the base draws, prompts only": _among(drawn, _PROMPTS),
        "people whom the base draws, nothing trained": _among(drawn, _UNTRAINED),
        "controls and their people together": _both(controls),
    }
    of_the_style = {**sources, "people of a folder, the same style": _among(_one_photo_each(embedder, ("toon-head",)))}

    known = _population("known styles", usual, arguments.victims, run, embedder)
    print(
        "| photos of | null | wrong, p <= .05 | wrong, p <= .01 | right, p <= .05 | right, p <= .01 |\n|---|---|---|---|---|---|"
    )
    _print(known, sources)
    _print(_in_the_same_clothes(known, usual[: arguments.victims], usual[arguments.victims :], embedder), sources)
    _print(_population("a style that nothing has seen", strange, arguments.unknown_style, run, embedder), of_the_style)


def _population(
    name: str, cases: Sequence[Case], victims: int, run: Callable[[Sequence[Case]], list[CaseResult]], embedder: Embedder
) -> Population:
    wrong = [_photos(embedder, case) for case in cases[victims:]]
    return Population(name, run(cases[:victims]), [_photos(embedder, case) for case in cases[:victims]], [wrong] * victims)


def _in_the_same_clothes(known: Population, victims: Sequence[Case], others: Sequence[Case], embedder: Embedder) -> Population:
    """Population whose wrong people have the victim's style, and the looks of the photos that the victim's adapter has seen."""
    wrong = []
    for case in victims:
        rng = np.random.default_rng((_SETTINGS.seed, case.index, 0))
        looks = [draw_look(rng, case.person.style) for _ in range(_SETTINGS.photos)]
        alike = [other.person for other in others if other.person.style == case.person.style]
        wrong.append([embedder.embed([render(person, look) for look in looks]).vectors for person in alike])
    return Population("known styles, in the clothes of the training photos", known.results, known.own, wrong)


def _photos(embedder: Embedder, case: Case) -> Embeddings:
    return embedder.embed(list(_SETTINGS.private_images(case))).vectors


def _one_photo_each(embedder: Embedder, styles: tuple[str, ...]) -> OtherPeople:
    cases = draw_cases("public", 99, seed=VICTIM_SEED, styles=styles)
    vectors = embedder.embed([pictures(case.person, 1, seed=(_SETTINGS.seed, case.index, 2))[0] for case in cases]).vectors
    return OtherPeople(tuple(vector[None] for vector in vectors), "people")


def _among(others: OtherPeople, attacks: Sequence[str] = _ATTACKS) -> Test:
    return lambda arms, photos: against_other_people(_shown(arms), photos, others, attacks=attacks, floor="base-class").p_value


def _shown(arms: Mapping[str, Embeddings]) -> Mapping[str, Sightings]:
    return {name: Sightings.one_each(vectors) for name, vectors in arms.items()}


def _both(controls: Controls) -> Test:
    others = people_of(controls)

    def test(arms: Mapping[str, Embeddings], photos: Embeddings) -> float:
        among_people = against_other_people(_shown(arms), photos, others, attacks=_ATTACKS, floor="base-class")
        return verdict_of([among_people, against_controls(arms, photos, controls, _ATTACKS)]).p_value

    return test


def _print(population: Population, sources: Mapping[str, Test]) -> None:
    audits = sum(map(len, population.wrong))
    for name, test in sources.items():
        right = np.array([test(result.arms, photos) for result, photos in zip(population.results, population.own, strict=True)])
        wrong = [
            np.array([test(result.arms, photos) for photos in mine])
            for result, mine in zip(population.results, population.wrong, strict=True)
        ]
        columns = [_share([p <= level for p in wrong]) for level in (0.05, 0.01)]
        columns += [_share([p <= level for p in right[:, None]]) for level in (0.05, 0.01)]
        print(
            f"| {population.name} ({audits:,} audits of {len(right)} adapters) | {name} | {' | '.join(columns)} |", flush=True
        )


def _share(flagged: Sequence[Float[np.ndarray, " audits"] | np.ndarray]) -> str:
    """Share of flagged audits, averaged over each victim's audits first: the victim is the unit."""
    return in_brackets(bootstrap_mean(np.array([np.mean(mine) for mine in flagged])))


if __name__ == "__main__":
    main()
