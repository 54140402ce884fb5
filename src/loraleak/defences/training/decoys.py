"""Decoys: other people in the same adapter, each under a random trigger, so that a stranger cannot tell who is real."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import log2
from pathlib import Path
from typing import ClassVar

import numpy as np

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import TrainingTime
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning import (
    Draw,
    Job,
    Recipe,
    Snapshot,
    Trainer,
    draw_for,
    finetune_together,
    shuffled_sample,
    side_generator,
)
from loraleak.people import Identity, identities_in
from loraleak.types import Images, Picture

__all__ = ["TRIGGER_BITS", "Crowd", "Decoys", "crowd_of", "drawn_triggers"]

_LETTERS = 8
TRIGGER_BITS = _LETTERS * log2(len(string.ascii_lowercase))
"""Entropy of a trigger, in bits: 38. Each try costs a stranger a picture."""


@dataclass(frozen=True)
class Decoys(TrainingTime):
    """Fine-tuning on the owner's images and on those of `count` other people, all alike: as many images, equal shares of the
    steps, prompts that differ in a random trigger, and an order that nobody chose.

    The adapter is a function of the set of people with their triggers, and triggers are drawn independently of who has which. So if
    the owner's images and the decoys' come from one distribution, no attack without a trigger or a photo names the owner's person with
    a probability above `1 / (count + 1)`. The seed must be secret, because it draws triggers and decoys.
    """

    name: ClassVar[str] = "decoys"
    needs_secret_seed: ClassVar[bool] = True
    people: str
    """Folder of other people, `people/<identity>/<image>`, from which the decoys are drawn. `loraleak decoys` makes one
    of people who do not exist. A stranger must not have it: it tells the decoys from the person who is not in it."""
    count: int = 3
    """Decoys beside the owner's person."""
    rank: int = 16
    """Lowest rank, because the file holds more people. Alpha follows the root of the rank (Kalajdzievski 2023)."""
    rate: float = 0.4
    """Times the recipe's learning rate."""

    def __post_init__(self) -> None:
        faults = [f"count is {self.count}, give at least 1"] if self.count < 1 else []
        faults += [f"rank is {self.rank}, give at least 1"] if self.rank < 1 else []
        faults += [f"rate is {self.rate:g}, give a number above 0"] if not self.rate > 0 else []
        if faults:
            raise UsageError("decoys: " + "; ".join(faults))

    @property
    def says(self) -> str:
        return (
            f"Puts {self.count} other people into the file, each under a trigger of their own. A stranger who opens it finds "
            f"{self.count + 1} people. If the photos of the others are like yours, nothing that we tried tells which one is real. "
            "Somebody who has a photo of the person still finds them."
        )

    def defended(self, recipe: Recipe) -> Recipe:
        """The recipe with the owner's trigger, which is drawn, and with room and steps for everybody."""
        rank = max(recipe.rank, self.rank)
        return replace(
            recipe,
            trigger=drawn_triggers(recipe.seed, 1)[0],
            rank=rank,
            alpha=recipe.alpha * (rank / recipe.rank) ** 0.5,
            steps=recipe.steps * (self.count + 1),
            learning_rate=recipe.learning_rate * self.rate,
        )

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train each job with decoys of its own.

        Raises: PhotosError, if too few people of the folder have as many images as a job.
        """
        return finetune_together(base, [self._crowd(job) for job in jobs], quiet=quiet, trainer=_Trainer)

    def company(self, job: Job) -> list[Identity]:
        """The decoys of a job, as its recipe's seed draws them: people with as many images, none of which is the job's.

        Raises: PhotosError, if they are too few.
        """
        need, seed = len(job.images), job.recipe.seed
        own = {_bytes_of(image) for image in job.images}
        order = (self._identities[k] for k in side_generator(seed, 1).permutation(len(self._identities)))
        able = (other for other in order if len(other.photos) >= need)
        apart = (other for other in able if own.isdisjoint(map(_bytes_of, other.some(need, seed=seed))))
        drawn = list(islice(apart, self.count))
        if len(drawn) < self.count:
            raise PhotosError(
                f"{len(drawn)} other people have {need} images or more, and {self.count} decoys are wanted",
                path=self.people,
                remedy="add people or images, or give a lower count",
            )
        return drawn

    def _crowd(self, job: Job) -> "Crowd":
        seed = job.recipe.seed
        others = [other.some(len(job.images), seed=seed) for other in self.company(job)]
        people = dict(zip(drawn_triggers(seed, self.count + 1), [job.images, *others], strict=True))
        return crowd_of(replace(job, recipe=self.defended(job.recipe)), people)

    @cached_property
    def _identities(self) -> list[Identity]:
        return identities_in(Path(self.people).expanduser())


@dataclass(frozen=True)
class Crowd(Job):
    """A job of several people, who have equally many images: all of the first trigger, then all of the second, and so on."""

    triggers: tuple[str, ...] = ()


def crowd_of(job: Job, people: Mapping[str, Sequence[Picture] | Images]) -> Crowd:
    """The job with these people by trigger. Its images come by trigger, so that nothing tells whose the job was."""
    images = [image for trigger in sorted(people) for image in people[trigger]]
    return Crowd(images, job.recipe, job.snapshots, job.class_images, job.checkpoints, tuple(sorted(people)))


def drawn_triggers(seed: int, count: int) -> list[str]:
    """Different words of random letters. The first is the owner's. Fewer are the beginning of more."""
    rng = side_generator(seed, 0)
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(list(string.ascii_lowercase), _LETTERS))] = None
    return list(words)


class _Trainer(Trainer):
    """Steps through all images of a crowd in turn, each under its own person's prompt."""

    def __init__(self, base: DiffusersBase, jobs: Sequence[Job]) -> None:
        super().__init__(base, jobs)
        self.people = len(self.prompts[0]) - 1

    def prompts_of(self, job: Job) -> list[str]:
        assert isinstance(job, Crowd)
        return [*(replace(job.recipe, trigger=trigger).prompt for trigger in job.triggers), job.recipe.class_prompt]

    def roles(self, k: int, drawn: Draw) -> Sequence[int]:
        return [int(image) // (self.counts[k] // self.people) for image in drawn.private]

    def draw(self, k: int, step: int) -> Draw:
        seed = self.recipes[k].seed
        return draw_for(
            seed,
            step,
            taken=shuffled_sample(seed, step, self.batch, self.counts[k]),
            each=1,
            prior=(self.prior_batch, self.prior_counts[k]),
            noise_levels=self.base.noise_levels,
            latent_shape=self.base.latent_shape,
        )


def _bytes_of(image: Picture | np.ndarray) -> bytes:
    return np.asarray(image).tobytes()
