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
from loraleak.bases import DiffusersBase
from loraleak.embedders import Embedder
from loraleak.finetuning.dreambooth import finetune
from loraleak.finetuning.recipe import Recipe
from loraleak.people.avatars import Person, draw_look, render
from loraleak.people.splits import Split, draw_people
from loraleak.progress import track
from loraleak.types import Images

__all__ = ["Case", "CaseSettings", "draw_cases", "pictures", "run_cases"]


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
    guidance_scale: float = 2.0
    """Classifier-free guidance of the prompt arms."""
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """One person whose adapter is attacked."""

    person: Person
    index: int
    trigger: str


def draw_cases(split: Split, count: int, *, seed: int) -> list[Case]:
    """Distinct people of a split, each with a random trigger of four letters."""
    people = draw_people(split, count, seed=seed)
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
) -> Iterator[tuple[Images, Mapping[str, Float[np.ndarray, "images dim"]]]]:
    """For each case the private images and, by arm, the embeddings of what was made. Finished cases are read back from `folder`."""
    key = json.dumps([asdict(settings), base.sha256, embedder.name, [arm.name for arm in arms]], sort_keys=True)
    home = folder / hashlib.sha256(key.encode()).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.json").write_text(key, "utf-8")
    for case in track(cases, "fine-tuning and sampling"):
        photos = pictures(case.person, settings.photos, seed=(settings.seed, case.index, 0))
        name = hashlib.sha256(repr(case).encode()).hexdigest()[:16]
        file = home / f"{name}.npz"
        if not file.exists():
            made = _made(base, case, photos, arms, settings)
            partial = file.with_suffix(f".{os.getpid()}.partial.npz")
            np.savez(partial, allow_pickle=False, **{arm: embedder.embed(list(images)) for arm, images in made.items()})
            partial.replace(file)
        with np.load(file, allow_pickle=False) as data:
            yield photos, {arm: data[arm] for arm in data.files}


def _made(base: DiffusersBase, case: Case, photos: Images, arms: Sequence[Arm], settings: CaseSettings) -> dict[str, Images]:
    recipe = replace(settings.recipe, trigger=case.trigger, seed=settings.seed + case.index)
    scene = Scene(
        base,
        finetune(base, photos, recipe, quiet=True),
        class_prompt=recipe.class_prompt,
        owner_prompt=recipe.prompt,
        guidance_scale=settings.guidance_scale,
    )
    return reconstruct(scene, arms, images=settings.images, seed=settings.seed, steps=settings.steps)


def _trigger(seed: int, index: int) -> str:
    rng = np.random.default_rng([seed, index, 1])
    return "".join(rng.choice(list(string.ascii_lowercase), 4))
