"""Pocket's kit: the stages of any kit, over drawn people."""

from dataclasses import asdict
from pathlib import Path

from loraleak.auditing import people_of
from loraleak.bases import DiffusersBase
from loraleak.bench import CaseSettings, draw_cases, person_on, pictures
from loraleak.bench.cases import VICTIM_SEED
from loraleak.embedders import Embedder
from loraleak.inversion import read_attack
from loraleak.kit_building import control_embeddings, measured
from loraleak.kits import Card, Kit, People
from loraleak.people import TRAINING_STYLES
from loraleak.people.styles import STYLES
from loraleak.pocket.shipped_attack import AttackRecipe, train_shipped_attack
from loraleak.version import __version__

__all__ = ["CONTROLS_SEED", "build_kit"]

CONTROLS_SEED = 5
"""Seed of the people of the controls, and of the cohort."""
_COHORT = 200
_VICTIMS = 50
_PHOTOS = 8
"""Photos of each other person. An owner with more photos is compared with these."""


def build_kit(
    base: DiffusersBase, embedder: Embedder, source: str, recipe: AttackRecipe, work: Path, *, controls: int = 99
) -> Kit:
    """Train the attack, sample the controls, measure the quality. A stopped build goes on from `work`; 99 controls give a smallest p
    of 0.01. The table of sensitivity has one row, to which `benchmarks/sensitivity.py` adds others.
    """
    file = work / "attack.safetensors"
    if not file.exists():
        train_shipped_attack(base, source, recipe, work).save(file)
    stored = read_attack(file)
    attack, how = stored.on(base), CaseSettings()
    cases = draw_cases("controls", controls + _COHORT, seed=CONTROLS_SEED)
    others = [
        person_on(pictures(case.person, _PHOTOS, seed=(how.seed, case.index, 0)), embedder).vectors for case in cases[controls:]
    ]
    known = control_embeddings(base, embedder, attack, cases[:controls], others, how, work / "controls")
    victims = draw_cases("victims", _VICTIMS, seed=VICTIM_SEED)
    quality, table = measured(base, embedder, attack, victims, people_of(known), known, how, work / "quality")
    styles = [STYLES[name] for name in TRAINING_STYLES]
    card = Card(
        base="pocket",
        base_sha256=base.sha256,
        family=type(base.pipeline).__name__,
        embedder="pocket",
        class_prompt=how.recipe.class_prompt,
        recipes=tuple(asdict(zoo.ranges) for zoo in recipe.zoos),
        people=People(attack=sum(zoo.people for zoo in recipe.zoos), controls=controls, templates=_COHORT, quality=_VICTIMS),
        source=f"synthetic people, drawn by loraleak; nobody real; {'; '.join(style.credit for style in styles)}",
        licence="; ".join(f"{style.name}: {style.licence}" for style in styles),
        loraleak=__version__,
        quality=quality,
    )
    return Kit(card, known.sampling, stored, known, table)
