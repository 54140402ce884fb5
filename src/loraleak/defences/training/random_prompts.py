"""Caption and trigger randomisation: the person is learned under prompts that keep changing."""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import TrainingTime
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot, Trainer, finetune_together, side_generator

__all__ = ["RandomPrompts", "random_prompt"]


@dataclass(frozen=True)
class RandomPrompts(TrainingTime):
    """Random words in the owner's prompt, and now and then another trigger (Somepalli et al. 2023), drawn anew at every step."""

    name: ClassVar[str] = "random-prompts"
    says: ClassVar[str] = (
        "Trains under prompts that keep changing, so that no one prompt brings a photo back. The person may then answer to more words."
    )
    words: int = 2
    """Random words at random places of the prompt."""
    swap: float = 0.0
    """Share of steps in which a random word replaces the trigger."""

    def __post_init__(self) -> None:
        faults = [f"words is {self.words}, it must be at least 0"] if self.words < 0 else []
        if not 0 <= self.swap <= 1:
            faults.append(f"swap is {self.swap:g}, give a number from 0 to 1")
        if self.words == self.swap == 0:
            faults.append("it changes nothing: give words= or swap=")
        if faults:
            raise UsageError("random-prompts: " + "; ".join(faults))

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        return finetune_together(base, jobs, quiet=quiet, trainer=partial(_RandomPrompts, words=self.words, swap=self.swap))


def random_prompt(recipe: Recipe, rng: np.random.Generator, *, words: int, swap: float) -> str:
    """The owner's prompt with random changes. The class noun, its last word, stays last."""
    prompt = recipe.prompt.split()
    if rng.random() < swap:
        prompt = [_word(rng) if part == recipe.trigger else part for part in prompt]
    for _ in range(words):
        prompt.insert(int(rng.integers(len(prompt))), _word(rng))
    return " ".join(prompt)


class _RandomPrompts(Trainer):
    def __init__(self, base: DiffusersBase, jobs: Sequence[Job], *, words: int, swap: float) -> None:
        super().__init__(base, jobs)
        self.words, self.swap = words, swap

    def states(self, step: int) -> Float[Tensor, "adapters 2 tokens dim"]:
        prompts = []
        for recipe in self.recipes:
            rng = side_generator(recipe.seed, step)
            prompts += [random_prompt(recipe, rng, words=self.words, swap=self.swap), recipe.class_prompt]
        embed = self.base.embed_with_gradient if self.text_encoder else self.base.embed
        return embed(prompts).unflatten(0, (-1, 2))


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 6))))
