"""How many files with a known leak audits find, and how far a posterior made of their statistic can be trusted.

    python benchmarks/sensitivity.py work --out src/loraleak/assets/kit.safetensors --figure docs/reliability

A stopped run goes on.

Victims are people whom nothing else has seen. The null is people of the base's controls at the controls' own sampler steps, and
people whom the base draws at others. Rows vary one thing at a time from the usual audit; all intervals are over victims.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy.stats import binomtest

from loraleak.arms import ARMS, select_arms
from loraleak.auditing import OtherPeople, against_controls, against_other_people, people_of, verdict_of
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.calibration import fit_calibration, posterior, reliability, rounded
from loraleak.auditing.nulls.drawn import draw_people
from loraleak.auditing.nulls.sources import people_drawn
from loraleak.bases import load_base
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases
from loraleak.bench.figures import save_figure
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.defences import parse_defence
from loraleak.embedders import load_embedder
from loraleak.kits import Calibration, Row, SamplingSetup, Table, kit_for, save_kit
from loraleak.reporting.results import NullTest
from loraleak.reporting.words import in_brackets
from loraleak.types import Embeddings, Interval, Sightings

_ARMS = tuple(arm for arm in select_arms(tuple(ARMS)) if arm.role in ("attack", "floor"))
_ATTACKS = tuple(arm.name for arm in _ARMS if arm.role == "attack")
_FLOOR = "base-class"
_FOLDS = 8
_REVIEW, _HIGH = 0.05, 0.01


@dataclass(frozen=True)
class Audited:
    """Victims' pictures under one way of sampling, and the nulls that go with it."""

    settings: CaseSettings
    results: Sequence[CaseResult]
    others: OtherPeople
    with_controls: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where adapters and pictures' embeddings are kept")
    parser.add_argument("--victims", type=int, default=40)
    parser.add_argument("--fewer", type=int, default=16, help="victims of the rows that are not of the usual audit")
    parser.add_argument("--wrong", type=int, default=100)
    parser.add_argument("--out", type=Path, help="file for the base's kit with the table and the calibration")
    parser.add_argument("--figure", type=Path, help="name of the reliability figure, without suffix")
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    kit = kit_for(base)
    assert kit is not None
    attack = kit.attack_on(base)
    usual = CaseSettings()
    setup = usual.setup(base, embedder, attack)
    controls = kit.controls_for(setup)
    assert controls is not None
    cases = draw_cases("victims", 50 + arguments.wrong, seed=VICTIM_SEED)
    victims, strangers = cases[: arguments.victims], cases[50:]

    def photos(case: Case) -> Embeddings:
        return embedder.embed(list(usual.private_images(case))).vectors

    def run(settings: CaseSettings, count: int, defence: str = "") -> list[CaseResult]:
        defended = {"defence": parse_defence(defence)} if defence else {}
        return run_cases(base, embedder, victims[:count], _ARMS, settings, arguments.folder, attack, **defended)

    def drawn(steps: int) -> OtherPeople:
        drawing = AuditSettings(guidance_scale=usual.guidance_scale, steps=steps).drawing
        return people_drawn(draw_people(base, **drawing, quiet=False), embedder)

    mine = [photos(case) for case in victims]

    def rows(audited: Audited, images: Sequence[int], shown: Sequence[int], file: str = "usual") -> Iterator[Row]:
        for count in images:
            for given in shown:
                p_values = []
                for result, photo in zip(audited.results, mine, strict=False):
                    made = {name: vectors[:count] for name, vectors in result.arms.items()}
                    tests = [_among(made, photo[:given], audited.others)]
                    if audited.with_controls:
                        tests.append(against_controls(made, photo[:given], controls, _ATTACKS))
                    p_values.append(verdict_of(tests).p_value)
                found = np.array(p_values)
                yield Row(
                    images=count,
                    steps=audited.settings.steps,
                    photos=given,
                    files=len(found),
                    review=int((found <= _REVIEW).sum()),
                    high=int((found <= _HIGH).sum()),
                    file=file,
                )

    measured = {"calibration": kit.calibration}

    def keep(table: Sequence[Row]) -> None:
        if arguments.out:
            save_kit(replace(kit, sensitivity=Table(setup, _ATTACKS, tuple(table)), **measured), arguments.out)

    whole = Audited(usual, run(usual, arguments.victims), people_of(controls), with_controls=True)
    table = list(rows(whole, (2, 4, 8), (2, 3, 5)))
    _print(table)
    keep(table)
    measured["calibration"] = _calibrated(whole, mine, [photos(case) for case in strangers], setup, arguments.figure)
    keep(table)
    for steps in (6, 10):
        settings = replace(usual, steps=steps)
        short = Audited(settings, run(settings, arguments.fewer), drawn(steps), with_controls=False)
        table += rows(short, (2, 4, 8), (2, 5))
        _print(table[-6:])
        keep(table)
    quick = replace(usual, images=4, steps=10)
    people = drawn(10)
    for defence in ("gaussian-noise:level=2", "quantisation:bits=2", "rank-truncation:rank=1", "scaling:factor=0.3"):
        audited = Audited(quick, run(quick, arguments.fewer, defence), people, with_controls=False)
        table += rows(audited, (4,), (5,), file=defence)
        _print(table[-1:])
        keep(table)
    recipe = quick.recipe
    recipes = {f"{steps} training steps": replace(recipe, steps=steps) for steps in (60, 120)}
    recipes["rank 1"] = replace(recipe, rank=1, alpha=recipe.alpha / recipe.rank)
    for name, changed in recipes.items():
        settings = replace(quick, recipe=changed)
        audited = Audited(settings, run(settings, arguments.fewer // 2), people, with_controls=False)
        table += rows(audited, (4,), (5,), file=name)
        _print(table[-1:])
        keep(table)


def _among(made: Mapping[str, Embeddings], photos: Embeddings, others: OtherPeople) -> NullTest:
    shown = {name: Sightings.one_each(vectors) for name, vectors in made.items()}
    return against_other_people(shown, photos, others, attacks=_ATTACKS, floor=_FLOOR)


def _print(rows: Sequence[Row]) -> None:
    for row in rows:
        rates = [_rate(found, row.files) for found in (row.review, row.high)]
        print(f"| {row.file} | {row.images} | {row.steps} | {row.photos} | {row.files} | {' | '.join(rates)} |", flush=True)


def _rate(found: int, files: int) -> str:
    """A share of files, with its exact 95% interval (Clopper and Pearson 1934)."""
    low, high = binomtest(found, files).proportion_ci()
    return in_brackets(Interval(found / files, float(low), float(high)))


def _calibrated(
    audited: Audited,
    mine: Sequence[Embeddings],
    strangers: Sequence[Embeddings],
    setup: SamplingSetup,
    name: Path | None,
) -> Calibration:
    """Fitted on all files, and judged by cross-validation: each fold's files are judged by a fit on the others' files, in audits of
    strangers whom that fit has not seen either."""
    own = np.array([_among(r.arms, photo, audited.others).statistic for r, photo in zip(audited.results, mine, strict=True)])
    wrong = np.array([[_among(r.arms, photo, audited.others).statistic for photo in strangers] for r in audited.results])
    fit = partial(fit_calibration, sampling=setup, attacks=_ATTACKS, images=audited.settings.images, photos=len(mine[0]))
    stated_own, stated_wrong = [], []
    for fold in range(_FOLDS):
        held, unknown = np.arange(len(own)) % _FOLDS == fold, np.arange(len(strangers)) % _FOLDS == fold
        fitted = fit(own[~held], wrong[np.ix_(~held, ~unknown)].ravel())
        stated_own.append(posterior(fitted, own[held], 0.5))
        stated_wrong.append(posterior(fitted, wrong[np.ix_(held, unknown)].ravel(), 0.5))
    curve = reliability(np.concatenate(stated_own), np.concatenate(stated_wrong))
    calibration = rounded(replace(fit(own, wrong.ravel()), error=curve.error))
    print(f"\nlog LR = {calibration.intercept:.2f} + {calibration.slope:.2f} statistic, at most {calibration.limit:.0f}")
    print(f"held out: {len(own)} leaking files, {sum(map(len, stated_wrong)):,} audits of wrong people, in {_FOLDS} folds")
    print(f"expected calibration error {curve.error:.3f}")
    for stated, seen, share in zip(curve.stated, curve.seen, curve.share, strict=True):
        print(f"| {stated:.2f} | {seen:.2f} | {share:.2f} |")
    if name is not None:
        figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
        axes.plot([0, 1], [0, 1], color="0.75", linewidth=1)
        axes.scatter(curve.stated, curve.seen, s=20 + 500 * np.array(curve.share), alpha=0.8, clip_on=False, zorder=3)
        axes.set(
            xlabel="probability that the audit states (prior 50%)", ylabel="share of files that leak", xlim=(0, 1), ylim=(0, 1)
        )
        axes.spines[["top", "right"]].set_visible(False)
        save_figure(figure, name)
    return calibration


if __name__ == "__main__":
    main()
