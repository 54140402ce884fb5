"""Readers of weights for a kit, learned from zoos of its base."""

from collections.abc import Sequence
from dataclasses import replace

from loraleak.errors import UsageError
from loraleak.kits import Kit
from loraleak.people import Identity
from loraleak.readers import learn_readers, samples_of
from loraleak.zoo import Zoo

__all__ = ["with_readers"]


def with_readers(kit: Kit, zoos: Sequence[Zoo], people: Sequence[Sequence[Identity]], *, kept_apart: int, seed: int) -> Kit:
    """The kit with readers, in the place of those that it had. All else stays as it is.

    Raises: UsageError, if a zoo is of another base than the kit, or there are too few people.
    """
    if any(zoo.base_sha256 != kit.card.base_sha256 for zoo in zoos):
        raise UsageError("a zoo is of another base than the kit: give zoos of the kit's base")
    return replace(kit, readers=learn_readers(samples_of(zoos, people), kept_apart=kept_apart, seed=seed), sha256="")
