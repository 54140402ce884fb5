"""Cases: a person, a few photos of them, and how an adapter is trained on these and attacked."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.bases import DiffusersBase
from loraleak.bench.bench_settings import BenchSettings, SampleSettings
from loraleak.bench.doubles import know, refuse_known, tell_doubles
from loraleak.embedders import Embedder
from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.inversion import WeightAutoencoder
from loraleak.kits import Kit, SamplingSetup
from loraleak.people import (
    TRAINING_STYLES,
    Identity,
    PeopleSplit,
    Person,
    Split,
    draw_people,
    identities_in,
    in_part,
    pictures,
    read_split,
    write_split,
)
from loraleak.scores import Appearances, recurring
from loraleak.types import Images, Picture

__all__ = [
    "VICTIM_SEED",
    "Case",
    "CaseSettings",
    "bench_cases",
    "draw_cases",
    "folder_cases",
    "person_on",
    "pictures",
    "templates",
]

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
        if case.recipe is not None:
            return case.recipe
        return replace(self.recipe, trigger=case.trigger, seed=self.seed + case.index)

    def private_images(self, case: "Case") -> Sequence[Picture] | Images:
        return case.identity.private(self.photos, seed=self.seed, number=case.index)

    def key(self, case: "Case") -> str:
        """Text that tells the case from all others, by its photos and its recipe."""
        identity = case.identity.key(self.photos, seed=self.seed)
        own = "" if case.recipe is None else f", recipe={case.recipe!r}"
        return f"Case(person={identity}, index={case.index}, trigger={case.trigger!r}{own})"


@dataclass(frozen=True)
class Case:
    """One person whose adapter is attacked."""

    identity: Identity
    index: int
    trigger: str
    recipe: Recipe | None = None
    """A recipe of the case's own; None for the one that all cases share."""

    @property
    def person(self) -> Person:
        """The traits. Raises: UsageError, for a person of a folder."""
        return self.identity.drawn


def draw_cases(split: Split, count: int, *, seed: int, styles: tuple[str, ...] = TRAINING_STYLES) -> list[Case]:
    """Distinct people of a split, each with a random trigger of four letters."""
    people = draw_people(split, count, seed=seed, styles=styles)
    return [Case(Identity(f"{split}-{i:04d}", person), i, _trigger(seed, i)) for i, person in enumerate(people)]


def folder_cases(people: Sequence[Identity], *, seed: int) -> list[Case]:
    """A case for each of these people, in an order that the seed decides, each with a random trigger of four letters."""
    order = np.random.default_rng(seed).permutation(len(people))
    return [Case(people[k], i, _trigger(seed, i)) for i, k in enumerate(order)]


def bench_cases(
    settings: BenchSettings, embedder: Embedder, kit: Kit | None, folder: Path, styles: tuple[str, ...] = TRAINING_STYLES
) -> list[Case]:
    """The gallery of a bench, victims first: people of the folder that the settings name, or drawn ones.

    Folders that show the same person are told of. `folder` keeps who was looked at, and the split into victims and others.
    Raises: UsageError, if there are fewer people than there shall be victims, or the kit has templates of some; PhotosError, if
    the embedder finds somebody on fewer than two photos.
    """
    if settings.people is None:
        return draw_cases("victims", settings.gallery, seed=VICTIM_SEED, styles=styles)
    found = identities_in(settings.people)
    if settings.split is not None:
        found = in_part(found, read_split(settings.split), settings.part)
    if len(found) < settings.victims:
        raise UsageError(
            f"it holds {len(found)} people, and {settings.victims} shall be victims",
            path=settings.people,
            remedy=f"give --victims {len(found)}, or add people",
        )
    cases = folder_cases(found, seed=VICTIM_SEED)[: settings.gallery]
    known = know([case.identity for case in cases], embedder, folder / "people")
    if kit is not None:
        refuse_known(known, kit, embedder)
    tell_doubles(known, embedder, "each is searched among the others, so take all but one of these folders out")
    names = [case.identity.name for case in cases]
    parts = {"victims": names[: settings.victims], "gallery": names[settings.victims :]}
    write_split(PeopleSplit({part: tuple(sorted(mine)) for part, mine in parts.items()}), folder / "split.json")
    return cases


def templates(cases: Sequence[Case], embedder: Embedder, *, seed: int, private: int) -> Float[np.ndarray, "people dim"]:
    """One template a person, from photos that no adapter was trained on; `private` is the number of those that one was."""
    photos = [case.identity.further(_TEMPLATE_LOOKS, seed=seed, number=case.index, private=private) for case in cases]
    return np.stack([person_on(mine, embedder).template for mine in photos])


def person_on(images: Sequence[Picture] | Images, embedder: Embedder) -> Appearances:
    """The person whom these pictures show."""
    return recurring(embedder.embed(list(images)), embedder.same_person).person


def _trigger(seed: int, index: int) -> str:
    rng = np.random.default_rng([seed, index, 1])
    return "".join(rng.choice(list(string.ascii_lowercase), 4))
