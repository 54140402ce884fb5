"""Cases: a synthetic person, a few pictures of them, and how an adapter is trained on these and attacked."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from loraleak.auditing import SamplingSetup
from loraleak.bases import DiffusersBase
from loraleak.bench.bench_settings import BenchSettings, SampleSettings
from loraleak.embedders import Embedder
from loraleak.finetuning import Recipe
from loraleak.inversion import WeightAutoencoder
from loraleak.people import TRAINING_STYLES, Person, Split, draw_look, draw_people, render
from loraleak.scores import Appearances, recurring
from loraleak.types import Images

__all__ = ["VICTIM_SEED", "Case", "CaseSettings", "draw_cases", "person_on", "pictures", "templates"]

VICTIM_SEED = 3
"""Seed of the people of galleries, the first of whom are the victims. Nothing was tuned on them."""
_TEMPLATE_LOOKS = 5


@dataclass(frozen=True)
class CaseSettings(SampleSettings):
    """Settings of how cases are fine-tuned and sampled, equal for victims and controls."""

    recipe: Recipe = field(default_factory=Recipe)
    photos: int = 5
    """Private images of each person."""

    @classmethod
    def of(cls, bench: BenchSettings, photos: int) -> "CaseSettings":
        """Settings of a bench's cases, at one number of private images."""
        return cls(**vars(bench.sampling), recipe=bench.recipe, photos=photos)

    def setup(self, base: DiffusersBase, embedder: Embedder, attack: WeightAutoencoder | None) -> SamplingSetup:
        """The sampling that controls must share to be compared with these cases."""
        read_by = "" if attack is None else attack.sha256
        return SamplingSetup(base.sha256, embedder.name, self.recipe.class_prompt, self.steps, self.guidance_scale, read_by)

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


def draw_cases(split: Split, count: int, *, seed: int, styles: tuple[str, ...] = TRAINING_STYLES) -> list[Case]:
    """Distinct people of a split, each with a random trigger of four letters."""
    people = draw_people(split, count, seed=seed, styles=styles)
    return [Case(person, i, _trigger(seed, i)) for i, person in enumerate(people)]


def templates(cases: Sequence[Case], embedder: Embedder, *, seed: int) -> Float[np.ndarray, "people dim"]:
    """One template a person, from looks that no adapter was trained on."""
    looks = [pictures(case.person, _TEMPLATE_LOOKS, seed=(seed, case.index, 1)) for case in cases]
    return np.stack([person_on(images, embedder).template for images in looks])


def person_on(images: Images, embedder: Embedder) -> Appearances:
    """The person whom these pictures show."""
    return recurring(embedder.embed(list(images)), embedder.same_person).person


def pictures(person: Person, count: int, *, seed: tuple[int, ...]) -> Images:
    """Pictures of one person in looks that the seed decides."""
    rng = np.random.default_rng(seed)
    return np.stack([render(person, draw_look(rng, person.style)) for _ in range(count)])


def _trigger(seed: int, index: int) -> str:
    rng = np.random.default_rng([seed, index, 1])
    return "".join(rng.choice(list(string.ascii_lowercase), 4))
