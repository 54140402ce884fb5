"""Captions of pictures of people: full ones, and the varied ones that a base is trained on."""

import numpy as np

from loraleak.people.avatars import Look, Person
from loraleak.people.styles import NO_COLOUR, STYLES

__all__ = ["CLASS_PROMPT", "caption", "varied_caption"]

CLASS_PROMPT = "a photo of a person"

_IDENTITY = ("skin", "hair", "facial_hair", "glasses")


def caption(person: Person, look: Look) -> str:
    """The full caption. The person's traits come before the look, and absent things are not mentioned."""
    return _sentence(STYLES[person.style].word, list(_clauses(person, look).values()))


def varied_caption(
    rng: np.random.Generator,
    person: Person,
    look: Look,
    *,
    empty: float = 0.08,
    class_only: float = 0.12,
    drop_identity: float = 0.06,
    drop_look: float = 0.4,
) -> str:
    """A caption with parts left out at random, so that a base learns every subset, the class prompt and the empty prompt."""
    kind = rng.random()
    if kind < empty:
        return ""
    if kind < empty + class_only:
        return CLASS_PROMPT
    kept = [
        words
        for name, words in _clauses(person, look).items()
        if rng.random() >= (drop_identity if name in _IDENTITY else drop_look)
    ]
    return _sentence("" if rng.random() < drop_look else STYLES[person.style].word, kept)


def _clauses(person: Person, look: Look) -> dict[str, str]:
    style = STYLES[person.style]
    hair = style.hair[person.hair]
    clauses = {
        "skin": f"{person.skin} skin",
        "hair": hair if person.colour == NO_COLOUR else f"{person.colour} {hair}",
        "facial_hair": style.facial_hair.get(person.facial_hair, ""),
        "glasses": style.glasses.get(person.glasses, ""),
        "expression": style.expressions[look.expression],
        "clothes": f"{look.clothes_colour} {style.clothes[look.clothes]}",
        "background": f"{look.background} background",
    }
    return {name: words for name, words in clauses.items() if words}


def _sentence(style: str, clauses: list[str]) -> str:
    subject = f"a {style} photo of a person" if style else CLASS_PROMPT
    return f"{subject} with {', '.join(clauses)}" if clauses else subject
