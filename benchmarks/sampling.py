"""The cheapest sampling that keeps the verdict: error rates of audits by sampler, sampler steps and pictures of each arm.

    python benchmarks/sampling.py work --samplers 2M --steps 4 6 10 20
    python benchmarks/sampling.py work --samplers 1 3M UniPC --steps 4

Every victim's adapter (the default recipe, 250 steps) is audited with the victim's photos and with those of each other victim, among
the people who come with pocket's controls. Arms are made once for each sampler and number of steps. Audits with fewer pictures take
the first of them. Intervals are over victims. A stopped run goes on from the folder.

Sampler 1 is the first-order one, which is DDIM, an Euler step of the same equation (Lu et al. 2022, section 4.1).
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler
from jaxtyping import Bool, Float

from loraleak.adapters import load_adapter
from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.auditing import OtherPeople, against_other_people, people_of
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench import Case, CaseSettings, draw_cases, person_on, templates
from loraleak.bench.cases import VICTIM_SEED
from loraleak.bench.runs import fine_tuned
from loraleak.embedders import Embedder, load_embedder
from loraleak.files import replacing
from loraleak.inversion import WeightAutoencoder
from loraleak.kits import Controls, kit_for
from loraleak.progress import track
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean, gallery_ranks, paired_difference
from loraleak.types import Embeddings, Sightings

__all__ = ["ATTACKS", "FLOOR", "Made", "Victims", "among", "victims_of"]

ATTACKS = ("lora-class", "lora-guidance", "lora-universal-z", "lora-z", "lora-z-key")
FLOOR = "base-class"
SAMPLERS: Mapping[str, Callable[[Any], Any]] = {
    "1": partial(DPMSolverMultistepScheduler.from_config, algorithm_type="dpmsolver++", solver_order=1),
    "2M": partial(DPMSolverMultistepScheduler.from_config, algorithm_type="dpmsolver++", solver_order=2),
    "3M": partial(DPMSolverMultistepScheduler.from_config, algorithm_type="dpmsolver++", solver_order=3),
    "UniPC": UniPCMultistepScheduler.from_config,
}
_NUMBERS = (*range(24), *range(150, 176))
"""Victims. Pocket's quality was measured on the first 24 too, and nothing on the others."""
_PICTURES = (2, 4, 8)
_SETTINGS = CaseSettings()
_LEVELS = (0.05, 0.01)

Made = Mapping[str, Embeddings]


@dataclass(frozen=True)
class Victims:
    """Victims, with what an audit of them needs."""

    cases: Sequence[Case]
    adapters: Mapping[Case, Path]
    photos: Sequence[Embeddings]
    others: OtherPeople
    controls: Controls
    base: DiffusersBase
    embedder: Embedder
    attack: WeightAutoencoder | None
    folder: Path

    def made(self, sampler: str, steps: int) -> list[Made]:
        """Embedded pictures of each victim, sampled where the folder does not hold them."""
        home = self.folder / f"{sampler}-{steps}"
        home.mkdir(exist_ok=True)
        files = [home / f"{case.index}.npz" for case in self.cases]
        missing = [(case, file) for case, file in zip(self.cases, files, strict=True) if not file.exists()]
        for case, file in track(missing, f"{sampler}, {steps} steps", total=len(missing)):
            with replacing(file) as whole:
                np.savez(whole, allow_pickle=False, **self._sampled(case, sampler, steps))
        return [dict(np.load(file, allow_pickle=False)) for file in files]

    def _sampled(self, case: Case, sampler: str, steps: int) -> Made:
        (noise,) = np.random.SeedSequence([_SETTINGS.seed, case.index]).generate_state(1)
        scene = Scene(self.base, load_adapter(self.adapters[case]), attack=self.attack, seed=_SETTINGS.seed + case.index)
        config = self.base.schedule.config

        def set_to(steps: int) -> Any:
            scheduler = SAMPLERS[sampler](config)
            scheduler.set_timesteps(steps)
            return scheduler

        self.base.schedule.sampler = set_to  # type: ignore[method-assign]
        made = reconstruct(scene, select_arms((*ATTACKS, FLOOR)), images=max(_PICTURES), seed=int(noise), steps=steps)
        return {name: self.embedder.embed(list(made[name])).vectors for name in (*ATTACKS, FLOOR)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where adapters and pictures' embeddings are kept")
    parser.add_argument("--victims", type=int, default=len(_NUMBERS))
    parser.add_argument("--samplers", nargs="+", choices=tuple(SAMPLERS), default=["2M"])
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 6, 10, 20])
    arguments = parser.parse_args()

    victims = victims_of(arguments.folder, arguments.victims)
    known = templates(victims.cases, victims.embedder, seed=_SETTINGS.seed, private=_SETTINGS.photos)
    gallery = np.concatenate([known, victims.controls.cohort])
    usual = _found(_p_values(victims, victims.made("2M", 20), max(_PICTURES)), _LEVELS[1])
    print(f"| sampler | steps | pictures | {' | '.join(_COLUMNS)} |\n|{'---|' * (3 + len(_COLUMNS))}")
    for sampler in arguments.samplers:
        for steps in arguments.steps:
            made = victims.made(sampler, steps)
            for pictures in _PICTURES:
                p = _p_values(victims, made, pictures)
                found = [_found(p, level) for level in _LEVELS]
                alarms = [_alarms(p, level) for level in _LEVELS]
                cells = [
                    *(in_brackets(bootstrap_mean(each.astype(float))) for each in found),
                    in_brackets(paired_difference(found[1].astype(float), usual.astype(float))),
                    *(in_brackets(bootstrap_mean(each)) for each in alarms),
                ]
                print(f"| {sampler} | {steps} | {pictures} | {' | '.join(cells)} |", flush=True)
            ranks = [in_brackets(bootstrap_mean(_rank1([m[name] for m in made], gallery))) for name in (*ATTACKS, FLOOR)]
            print(f"rank-1 at {sampler}, {steps} steps: {dict(zip((*ATTACKS, FLOOR), ranks, strict=True))}", flush=True)


_COLUMNS = (
    "right person, p <= .05",
    "right person, p <= .01",
    "less 20 steps and 8 pictures",
    "wrong person, p <= .05",
    "wrong person, p <= .01",
)


def victims_of(folder: Path, count: int) -> Victims:
    """The victims, whose adapters are fine-tuned where the folder does not hold them."""
    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    kit = kit_for(base)
    assert kit is not None and kit.controls is not None
    drawn = draw_cases("victims", max(_NUMBERS) + 1, seed=VICTIM_SEED)
    cases = [drawn[i] for i in _NUMBERS[:count]]
    photos = [person_on(_SETTINGS.private_images(case), embedder).vectors for case in cases]
    adapters = fine_tuned(base, cases, _SETTINGS, folder)
    return Victims(cases, adapters, photos, people_of(kit.controls), kit.controls, base, embedder, kit.attack_on(base), folder)


def among(made: Made, photos: Embeddings, others: OtherPeople, pictures: int, attacks: Sequence[str] = ATTACKS) -> float:
    """p among other people, from the first pictures of each arm."""
    shown = {name: Sightings.one_each(vectors[:pictures]) for name, vectors in made.items()}
    return against_other_people(shown, photos, others, attacks=attacks, floor=FLOOR).p_value


def _p_values(victims: Victims, made: Sequence[Made], pictures: int) -> Float[np.ndarray, "victims photos"]:
    """p of every victim's file with everybody's photos."""
    return np.array([[among(mine, photos, victims.others, pictures) for photos in victims.photos] for mine in made])


def _found(p: Float[np.ndarray, "victims photos"], level: float) -> Bool[np.ndarray, " victims"]:
    found: Bool[np.ndarray, " victims"] = np.diag(p) <= level
    return found


def _alarms(p: Float[np.ndarray, "victims photos"], level: float) -> Float[np.ndarray, " victims"]:
    """Share of wrong people whom audits of each victim's file call."""
    wrong = ~np.eye(len(p), dtype=bool)
    return np.array([(row[others] <= level).mean() for row, others in zip(p, wrong, strict=True)])


def _rank1(made: Sequence[Embeddings], gallery: Float[np.ndarray, "people dim"]) -> Float[np.ndarray, " victims"]:
    return np.array([np.mean(gallery_ranks(vectors, gallery, i) == 0) for i, vectors in enumerate(made)])


if __name__ == "__main__":
    main()
