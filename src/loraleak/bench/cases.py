"""Cases: a synthetic person, an adapter fine-tuned on a few pictures of them, and what every arm makes of it."""

import hashlib
import json
import os
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.arms import Arm, Scene, reconstruct
from loraleak.auditing.controls import Sampling
from loraleak.bases import DiffusersBase
from loraleak.embedders import Embedder
from loraleak.files import write_text
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.inversion.autoencoder import WeightAutoencoder
from loraleak.people.avatars import Person, draw_look, render
from loraleak.people.splits import TRAINING_STYLES, Split, draw_people
from loraleak.progress import track
from loraleak.types import Images

__all__ = ["Case", "CaseResult", "CaseSettings", "draw_cases", "pictures", "run_cases"]

_TOGETHER = 8
"""Adapters that train in one batch."""


@dataclass(frozen=True)
class CaseSettings:
    """How cases are fine-tuned and sampled; equal for victims and controls."""

    recipe: Recipe = field(default_factory=Recipe)
    photos: int = 5
    """Private images a person."""
    images: int = 8
    """Pictures an arm."""
    steps: int = 20
    """Sampler steps."""
    guidance_scale: float = 3.0
    """Classifier-free guidance of prompts and of z."""
    seed: int = 0

    def sampling(self, base: DiffusersBase, embedder: Embedder, attack: WeightAutoencoder | None) -> Sampling:
        """As controls must have been sampled, to be compared with these cases."""
        read_by = "" if attack is None else attack.sha256
        return Sampling(base.sha256, embedder.name, self.recipe.class_prompt, self.steps, self.guidance_scale, read_by)

    def recipe_of(self, case: "Case") -> Recipe:
        return replace(self.recipe, trigger=case.trigger, seed=self.seed + case.index)

    def private_images(self, case: "Case") -> Images:
        return pictures(case.person, self.photos, seed=(self.seed, case.index, 0))


@dataclass(frozen=True)
class Case:
    """One person whose adapter is attacked."""

    person: Person
    index: int
    trigger: str


@dataclass(frozen=True)
class CaseResult:
    """What came of one case."""

    private_images: Images
    arms: Mapping[str, Float[np.ndarray, "images dim"]]
    """By arm, the embeddings of what it made."""


def draw_cases(split: Split, count: int, *, seed: int, styles: tuple[str, ...] = TRAINING_STYLES) -> list[Case]:
    """Distinct people of a split, each with a random trigger of four letters."""
    people = draw_people(split, count, seed=seed, styles=styles)
    return [Case(person, i, _trigger(seed, i)) for i, person in enumerate(people)]


def pictures(person: Person, count: int, *, seed: tuple[int, ...]) -> Images:
    """Pictures of one person in looks that the seed decides."""
    rng = np.random.default_rng(seed)
    return np.stack([render(person, draw_look(rng, person.style)) for _ in range(count)])


def run_cases(
    base: DiffusersBase,
    embedder: Embedder,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    settings: CaseSettings,
    folder: Path,
    attack: WeightAutoencoder | None = None,
) -> list[CaseResult]:
    """Fine-tune on each case and sample every arm; what is finished is kept in `folder`, so that a stopped run goes on."""
    read_by = "" if attack is None else attack.sha256
    key = json.dumps([asdict(settings), base.sha256, embedder.name, [arm.name for arm in arms], read_by], sort_keys=True)
    home = folder / hashlib.sha256(key.encode()).hexdigest()[:12]
    write_text(home / "settings.json", key)
    files = {case: home / f"{hashlib.sha256(repr(case).encode()).hexdigest()[:16]}.npz" for case in cases}
    missing = [case for case, file in files.items() if not file.exists()]
    for case, made in track(_made(base, missing, arms, settings, attack), "fine-tuning and sampling", total=len(missing)):
        partial = files[case].with_suffix(f".{os.getpid()}.partial.npz")
        np.savez(partial, allow_pickle=False, **{arm: embedder.embed(list(images)) for arm, images in made.items()})
        partial.replace(files[case])
    return [CaseResult(settings.private_images(case), _read(file)) for case, file in files.items()]


def _read(file: Path) -> dict[str, Float[np.ndarray, "images dim"]]:
    with np.load(file, allow_pickle=False) as data:
        return {arm: data[arm] for arm in data.files}


def _made(
    base: DiffusersBase,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    settings: CaseSettings,
    attack: WeightAutoencoder | None,
) -> Iterator[tuple[Case, dict[str, Images]]]:
    for start in range(0, len(cases), _TOGETHER):
        group = cases[start : start + _TOGETHER]
        jobs = [Job(settings.private_images(case), settings.recipe_of(case)) for case in group]
        adapters = {snapshot.job: snapshot.adapter for snapshot in finetune_together(base, jobs, quiet=True)}
        for k, case in enumerate(group):
            scene = Scene(
                base,
                adapters[k],
                class_prompt=settings.recipe.class_prompt,
                owner_prompt=jobs[k].recipe.prompt,
                guidance_scale=settings.guidance_scale,
                attack=attack,
                seed=settings.seed + case.index,
            )
            (noise_seed,) = np.random.SeedSequence([settings.seed, case.index]).generate_state(1)
            yield case, reconstruct(scene, arms, images=settings.images, seed=int(noise_seed), steps=settings.steps)


def _trigger(seed: int, index: int) -> str:
    rng = np.random.default_rng([seed, index, 1])
    return "".join(rng.choice(list(string.ascii_lowercase), 4))
