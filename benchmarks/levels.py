"""What audits say of files that leak, and of files of other people, at several numbers of pictures and sampler steps.

    python benchmarks/levels.py work    # goes on where it was stopped

The same files are audited twice: with the photos of the person whom they were trained on, and with those of somebody else. Where the
base's table of sensitivity has no row for the settings, the files with known leaks that come with pocket are audited in the same way.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from loraleak.arms import ARMS, Scene, reconstruct, select_arms
from loraleak.assets import POCKET_KNOWN_LEAKS
from loraleak.auditing import OtherPeople, against_controls, against_other_people, people_of, verdict_of
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.known_leaks import count_found, read_known_leaks
from loraleak.auditing.nulls.drawn import draw_people
from loraleak.auditing.nulls.sources import people_drawn
from loraleak.auditing.positive_controls import known_leaks_are_found, leaks_like_these_are_found
from loraleak.auditing.sensitivity import row_for, table_for
from loraleak.bases import load_base
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.embedders import load_embedder
from loraleak.kits import controls_for, kit_for
from loraleak.reporting import Verdict
from loraleak.reporting.results import PositiveControl
from loraleak.types import Adapter, Embeddings, Sightings

_IMAGES, _STEPS = (2, 4, 8, 16), (2, 6, 20)
_MAX_MISS_RATE = AuditSettings().max_miss_rate
_ARMS = tuple(arm for arm in select_arms(tuple(ARMS)) if arm.role in ("attack", "floor"))
_ATTACKS = tuple(arm.name for arm in _ARMS if arm.role == "attack")
_FLOOR = "base-class"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where adapters and pictures' embeddings are kept")
    parser.add_argument("--files", type=int, default=10)
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    kit = kit_for(base)
    assert kit is not None
    attack = kit.attack_on(base)
    controls = controls_for(CaseSettings().setup(base, embedder, attack))
    assert controls is not None
    leaks = read_known_leaks(POCKET_KNOWN_LEAKS, embedder)
    victims = draw_cases("victims", 150, seed=VICTIM_SEED)[: arguments.files]
    mine = [embedder.embed(list(CaseSettings().private_images(case))).vectors for case in victims]

    def people_at(settings: CaseSettings) -> OtherPeople:
        if settings.setup(base, embedder, attack) == controls.sampling:
            return people_of(controls)
        drawing = AuditSettings(guidance_scale=settings.guidance_scale, steps=settings.steps).drawing
        return people_drawn(draw_people(base, **drawing, quiet=False), embedder)

    def known(settings: CaseSettings, images: int, photos: int, others: OtherPeople) -> PositiveControl:
        setup = settings.setup(base, embedder, attack)
        table = table_for(kit, setup, _ATTACKS)
        row = None if table is None else row_for(table, images=images, steps=settings.steps, photos=photos)
        if row is not None:
            of_this = {"images": images, "steps": settings.steps, "photos": photos}
            return leaks_like_these_are_found(row, None, **of_this, max_miss_rate=_MAX_MISS_RATE)

        def sampled(adapter: Adapter) -> Mapping[str, Sightings]:
            scene = Scene(base, adapter, class_prompt=settings.recipe.class_prompt, attack=attack, seed=0)
            made = reconstruct(scene, _ARMS, images=images, seed=0, steps=settings.steps)
            return {name: embedder.embed(list(pictures)) for name, pictures in made.items()}

        by = ["benchmarks/levels", setup, images]
        found = count_found(leaks, sampled, others, floor=_FLOOR, level=0.05, decided_by=by)
        return known_leaks_are_found(found, len(leaks), images=images, steps=settings.steps, max_miss_rate=_MAX_MISS_RATE)

    def judged(result: CaseResult, photos: Embeddings, images: int, others: OtherPeople, control: PositiveControl) -> Verdict:
        made = {name: vectors[:images] for name, vectors in result.arms.items()}
        shown = {name: Sightings.one_each(vectors) for name, vectors in made.items()}
        tests = [against_other_people(shown, photos, others, attacks=_ATTACKS, floor=_FLOOR)]
        if others.says == people_of(controls).says:
            tests.append(against_controls(made, photos, controls, _ATTACKS))
        return verdict_of(tests, [control])

    print("| images | steps | smallest p | files that leak | p (median, largest) | levels, other people | p (median, least) |")
    print("|---|---|---|---|---|---|---|")
    for steps in _STEPS:
        settings = CaseSettings(images=max(_IMAGES), steps=steps)
        results = run_cases(base, embedder, victims, _ARMS, settings, arguments.folder, attack, title=f"{steps} steps, ")
        others = people_at(settings)
        for images in _IMAGES:
            control = known(settings, images, len(mine[0]), others)
            right = [judged(r, photos, images, others, control) for r, photos in zip(results, mine, strict=True)]
            wrong = [judged(r, photos, images, others, control) for r, photos in zip(results, mine[1:] + mine[:1], strict=True)]
            p_right, p_wrong = (np.array([verdict.p_value for verdict in verdicts]) for verdicts in (right, wrong))
            print(
                f"| {images} | {steps} | {right[0].smallest_p:.3f} | {_levels(right)} | {np.median(p_right):.3f}, {p_right.max():.3f} "
                f"| {_levels(wrong)} | {np.median(p_wrong):.2f}, {p_wrong.min():.3f} |",
                flush=True,
            )


def _levels(verdicts: list[Verdict]) -> str:
    said = [verdict.level for verdict in verdicts]
    return ", ".join(f"{said.count(level)} {level}" for level in ("high", "review", "undecided", "low") if level in said)


if __name__ == "__main__":
    main()
