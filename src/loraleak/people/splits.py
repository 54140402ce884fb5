"""Disjoint splits by person. A split is a function of the traits alone, so a person can never be in two splits."""

import hashlib
from collections.abc import Iterator

import numpy as np

from loraleak.errors import UsageError
from loraleak.people.avatars import Person, draw_person
from loraleak.people.names import SPLITS, TRAINING_STYLES, Split

__all__ = ["draw_people", "split_of"]

_SHARES: dict[Split, int] = {"base": 40, "embedder": 25, "public": 20, "controls": 5, "victims": 10}
_MAX_REPEATS = 2_000


def split_of(person: Person) -> Split:
    """The one split that this person belongs to: base 40%, embedder 25%, public (attack training) 20%, controls 5%, victims 10%.

    Controls have a split of their own, so that they are drawn as victims are. The people of the public split whom the attack
    has not seen are mostly rare ones. A null of rare people would call common ones leaks.
    """
    traits = "|".join((person.style, person.hair, person.colour, person.skin, person.facial_hair, person.glasses))
    slot = int.from_bytes(hashlib.sha256(traits.encode()).digest()[:8], "big") % 100
    for split, share in _SHARES.items():
        if slot < share:
            return split
        slot -= share
    raise AssertionError("shares sum to 100")


def draw_people(
    split: Split, count: int, *, seed: int, styles: tuple[str, ...] = TRAINING_STYLES, distinct: bool = True
) -> list[Person]:
    """Draw `count` people of a split, styles in turn but for repeats. `distinct=False` lets people come again, for training.

    Raises: UsageError, if the styles have too few different people in this split.
    """
    seen: set[Person] = set()
    people: list[Person] = []
    repeats = 0
    for person in _stream(split, seed, styles):
        if len(people) == count:
            break
        if distinct and person in seen:
            repeats += 1
            if repeats == _MAX_REPEATS:
                raise UsageError(f"{' and '.join(styles)} have only about {len(people)} people in {split}: ask for fewer")
            continue
        repeats = 0
        seen.add(person)
        people.append(person)
    return people


def _stream(split: Split, seed: int, styles: tuple[str, ...]) -> Iterator[Person]:
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    while True:
        for style in styles:
            person = draw_person(rng, style)
            while split_of(person) != split:
                person = draw_person(rng, style)
            yield person
