"""Readers: small linear maps from what an adapter's weights show to words and a number. Light, plain data that a kit can hold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from loraleak.types import Interval

__all__ = ["SPECTRUM", "Measured", "Readers", "ReadersCard", "Size", "Trait", "checked"]

SPECTRUM = 6
"""Numbers of one module's spectrum."""


@dataclass(frozen=True)
class Trait:
    """One trait, such as glasses, and the words that it can take."""

    name: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    """How usual each value is among the people learned from."""
    sharpness: float
    """Factor on the scores before they become probabilities. It makes the confidence right on people who were left out."""


@dataclass(frozen=True)
class Size:
    """The number of photos, on a scale of logarithms."""

    usual: float
    """Mean logarithm of the number among the people learned from: the guess of somebody who has not seen the file."""
    below: float
    above: float
    """How far the true logarithm lies below and above the reading in nine of ten files of people who were left out."""


@dataclass(frozen=True)
class Measured:
    """What readers get right on people who were kept apart. Intervals are over these people."""

    people: int
    right: Mapping[str, Interval]
    """Share of the people whose trait is named rightly, by trait."""
    majority: Mapping[str, Interval]
    """The same for whoever always says the most usual value."""
    calibration_error: Interval | None
    """Expected calibration error of the confidence, over all traits, in ten bins."""
    size_error: Interval | None
    """Mean absolute error of the logarithm (base 2) of the number of photos."""
    size_guess: Interval | None
    """The same for whoever guesses the usual number."""
    size_covered: Interval | None
    """Share of the people whose number of photos lies within the stated bounds."""


@dataclass(frozen=True)
class ReadersCard:
    """What should be known of readers before they are used."""

    base_sha256: str
    people: int
    """People learned from."""
    fewest: int
    """Fewest photos of an adapter learned from."""
    most: int
    """Most photos of an adapter learned from."""
    traits: tuple[Trait, ...]
    size: Size | None
    measured: Measured | None


@dataclass(frozen=True)
class Readers:
    """All readers of one base.

    Tensors are `left/<module>` and `right/<module>` (the probes), `traits/map`, `traits/directions`,
    `traits/intercept`, `size/weights`, `size/intercept`, and `usual/<module>` and `rest/<module>` of layers that read the prompt.
    """

    card: ReadersCard
    tensors: Mapping[str, Float[np.ndarray, "..."]]

    def part(self, name: str) -> dict[str, Float[np.ndarray, "..."]]:
        """The tensors below this name, in float32."""
        start = f"{name}/"
        return {key.removeprefix(start): np.asarray(v, np.float32) for key, v in self.tensors.items() if key.startswith(start)}


def checked(readers: Readers) -> Readers:
    """The same readers. Raises: ValueError, if numbers and facts of a stranger's file do not go together."""
    left, right, card = readers.part("left"), readers.part("right"), readers.card
    wanted: dict[str, tuple[int, ...]] = {}
    probes = next(iter(left.values())).shape[-1] if left else 0
    if card.traits:
        count = sum(len(trait.values) for trait in card.traits)
        directions = readers.tensors["traits/directions"].shape[0]
        features = len(left) * probes**2
        wanted |= {"map": (features, directions), "directions": (directions, count), "intercept": (count,)}
    shapes = {name: value.shape for name, value in readers.part("traits").items()}
    of_size = {name: value.shape for name, value in readers.part("size").items()}
    sizes = {"weights": (len(left) * SPECTRUM + 2, 1), "intercept": (1,)} if card.size is not None else {}
    usual, rest = readers.part("usual"), readers.part("rest")
    sound = (
        left.keys() == right.keys()
        and all(value.ndim == 2 and value.shape[1] == probes for value in (*left.values(), *right.values()))
        and shapes == wanted
        and of_size == sizes
        and usual.keys() == rest.keys() <= right.keys()
        and all(
            value.ndim == 2 and len(value) == len(right[name]) and rest[name].shape == (1,) for name, value in usual.items()
        )
        and all(trait.values and len(trait.values) == len(trait.shares) and trait.sharpness > 0 for trait in card.traits)
        and all(bool(np.isfinite(np.asarray(value, np.float32)).all()) for value in readers.tensors.values())
    )
    if not sound:
        raise ValueError("the numbers of its readers do not go with their header")
    return readers
