"""Traits: what the weights alone say about the person, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from loraleak.arms import Scene
from loraleak.bases.estimate import Estimate
from loraleak.leaks.needs import lacks_readers
from loraleak.leaks.protocol import Evidence, Leak
from loraleak.readers import words
from loraleak.reporting.results import Answer, Reading

__all__ = ["SENSITIVE", "Traits"]

SENSITIVE = ("skin", "ethnicity", "gender", "sex", "age")
"""Traits that laws protect or that people are judged by. The report says why it shows them."""
_LIKELY, _TELLING = 0.5, 0.1
"""A word is told in the sentence where it is likelier than not, and the confidence is above the usual share by this much."""
_NULL = (
    "How usual each word is among the people that the reader learned from: somebody who has not seen the file is right so often by "
    "always saying the most usual one"
)


@dataclass(frozen=True)
class Traits(Leak):
    """Words about the person, from ridge regression on probed updates. No picture is made, and no prompt is needed."""

    name: str = "traits"
    question: str = "What does the file say about the person, without a picture?"

    def lacks(self, scene: Scene, evidence: Evidence) -> str:
        return lacks_readers(scene, evidence) or (
            ""
            if evidence.readers is not None and evidence.readers.card.traits
            else "Not tested. The kit has no reader of traits."
        )

    def estimate(self, scene: Scene, evidence: Evidence) -> Estimate:
        return Estimate(0, 0, 1.0)

    def answer(self, scene: Scene, evidence: Evidence) -> Answer:
        """Words with a confidence that was calibrated on people who were left out."""
        readers = evidence.readers
        assert readers is not None
        read = words(readers, scene.adapter)
        told = [word for word in read if word.confidence >= max(_LIKELY, word.usual + _TELLING)]
        measured = readers.card.measured
        right = {} if measured is None else measured.right
        return Answer(
            self.name,
            self.question,
            _in_words(
                [f"{_plain(word.trait)}: {word.value} ({word.confidence:.0%})" for word in told],
                [_plain(word.trait) for word in read if word.trait in SENSITIVE],
            ),
            null=_NULL,
            readings=tuple(
                Reading(
                    word.trait,
                    word.value,
                    word.confidence,
                    word.usual,
                    None if word.trait not in right else right[word.trait].mean,
                    sensitive=word.trait in SENSITIVE,
                )
                for word in read
            ),
        )


def _plain(trait: str) -> str:
    return trait.replace("_", " ")


def _in_words(told: Sequence[str], sensitive: Sequence[str]) -> str:
    says = (
        f"Anybody who studied other people's files reads in the weights: {'; '.join(told)}."
        if told
        else "Not shown. The weights say little more than what is usual among people."
    )
    if sensitive:
        says += f" You see {' and '.join(sensitive)} here because a stranger could read it too, not because it should matter."
    return says
