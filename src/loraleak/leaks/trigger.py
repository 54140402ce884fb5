"""The trigger: can somebody find the word that opens the file, from its weights?"""

import string
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from loraleak.arms import Scene
from loraleak.bases import DiffusersBase
from loraleak.bases.estimate import Estimate
from loraleak.leaks.needs import lacks_readers
from loraleak.leaks.protocol import Evidence, Leak
from loraleak.readers import excitation
from loraleak.reporting.results import Answer
from loraleak.untrusted import printable

__all__ = ["Trigger", "random_words", "states_of", "trigger_in"]

_WORDS = 399
"""Random words to compare with. They give a smallest p-value of 1/400."""
_AT_ONCE = 100
_MOST_TOKENS = 128
_LEVEL = 0.05
_SHOWN = 40


@dataclass(frozen=True)
class Trigger(Leak):
    """The rank of the owner's trigger among random words of its length, by how much the layers that read the prompt answer to it."""

    name: str = "trigger"
    question: str = "Can somebody find your trigger word in the weights?"

    def lacks(self, scene: Scene, evidence: Evidence) -> str:
        if scene.owner_prompt is None or not trigger_in(scene.owner_prompt, scene.class_prompt):
            return "Not tested. It takes your own prompt with the trigger: give it with --prompt."
        if why := lacks_readers(scene, evidence):
            return why
        assert evidence.readers is not None
        if not evidence.readers.part("usual") or scene.base.condition_shape[0] > _MOST_TOKENS:
            return "Not tested. The kit's readers know no layer of this base that reads the prompt directly."
        return ""

    def estimate(self, scene: Scene, evidence: Evidence) -> Estimate:
        return Estimate(0, 4 * (_WORDS + 1) * scene.base.condition_shape[0] * scene.base.condition_shape[1], 5.0)

    def answer(self, scene: Scene, evidence: Evidence) -> Answer:
        """The p-value is the trigger's rank among random words. If the weights knew nothing of it, all ranks would be equally
        likely for a word that was drawn at random."""
        assert evidence.readers is not None and scene.owner_prompt is not None
        trigger = trigger_in(scene.owner_prompt, scene.class_prompt)
        others = random_words(len(trigger), _WORDS, seed=scene.seed)
        prompts = [scene.owner_prompt.replace(trigger, word) for word in (trigger, *others)]
        with scene.base.adapted(scene.adapter):
            values = excitation(evidence.readers, scene.adapter, states_of(scene.base, prompts))
        above = int((values[1:] >= values[0]).sum())
        p_value = (1 + above) / (1 + _WORDS)
        return Answer(
            self.name,
            self.question,
            _in_words(printable(trigger, _SHOWN), above, p_value),
            null=f"{_WORDS} random words of {len(trigger)} letters in the same prompt",
            p_value=p_value,
        )


def trigger_in(prompt: str, class_prompt: str) -> str:
    """The longest word of the owner's prompt that the class prompt lacks; empty where there is none.

    >>> trigger_in("a photo of zqkv person", "a photo of a person")
    'zqkv'
    """
    known = set(class_prompt.lower().split())
    return max((word for word in prompt.split() if word.lower() not in known), key=len, default="")


def random_words(length: int, count: int, *, seed: int) -> list[str]:
    """Random words of this many small letters."""
    rng = np.random.default_rng([seed, length])
    return ["".join(rng.choice(list(string.ascii_lowercase), length)) for _ in range(count)]


@torch.no_grad()
def states_of(base: DiffusersBase, prompts: list[str]) -> Float[torch.Tensor, "prompts tokens dim"]:
    """States of the prompts, some at once. An adapter of the text encoder that is attached has its say."""
    parts = [base.embed(prompts[start : start + _AT_ONCE]) for start in range(0, len(prompts), _AT_ONCE)]
    return torch.cat(parts).float().cpu()


def _in_words(trigger: str, above: int, p_value: float) -> str:
    rank = f"“{trigger}” has rank {above + 1} among itself and {_WORDS} random words as long"
    if p_value > _LEVEL:
        return f"Not shown. {rank} (p = {p_value:.3f})."
    share = (above + 1) / (_WORDS + 1)
    return (
        f"Partly. {rank} (p = {p_value:.3f}). Whoever studied other people's files and tries the likeliest words first needs about "
        f"{share:.1%} of the tries that chance needs."
    )
