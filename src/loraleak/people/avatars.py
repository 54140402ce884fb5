"""Synthetic people: a person is a tuple of traits, a look is what changes between two pictures of the same person.

Licences: see `styles.STYLES[...].licence` and `.credit`; they are repeated in the README and in every folder that we write.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar
from PIL import Image

from loraleak.people.styles import BACKGROUNDS, CLOTHES_COLOURS, COLOURS, SKINS, STYLES, drawing
from loraleak.types import Picture

__all__ = ["NONE", "Look", "Person", "draw_look", "draw_person", "render"]

NONE = "none"

_FACIAL_HAIR_SHARE = 0.35
_GLASSES_SHARE = 0.35


@dataclass(frozen=True, order=True)
class Person:
    """Traits of a person. Equal traits are the same person."""

    style: str
    hair: str
    colour: str
    """Colour of the headwear where there is any, else of the hair and the facial hair."""
    skin: str
    facial_hair: str
    glasses: str

    def attributes(self) -> dict[str, str]:
        """The ground truth, in the words of the captions."""
        style = STYLES[self.style]
        return {
            "style": style.word,
            "hair": style.hair[self.hair],
            "colour": self.colour,
            "skin": self.skin,
            "facial_hair": style.facial_hair.get(self.facial_hair, NONE),
            "glasses": style.glasses.get(self.glasses, NONE),
        }


@dataclass(frozen=True)
class Look:
    """Everything that varies between pictures of one person. Lengths are percent of the canvas, angles are degrees."""

    expression: str
    eyes: str
    brows: str
    clothes: str
    clothes_colour: str
    background: str
    scale: float
    rotate: float
    shift_x: float
    shift_y: float


def draw_person(rng: np.random.Generator, style: str) -> Person:
    """A random person of a style: every trait uniform, facial hair and glasses on 35% each."""
    s = STYLES[style]
    hair = _choice(rng, s.hair)
    return Person(
        style=style,
        hair=hair,
        colour=_choice(rng, s.colours_of(hair)),
        skin=_choice(rng, SKINS),
        facial_hair=_choice(rng, s.facial_hair) if rng.random() < _FACIAL_HAIR_SHARE else NONE,
        glasses=_choice(rng, s.glasses) if s.glasses and rng.random() < _GLASSES_SHARE else NONE,
    )


def draw_look(rng: np.random.Generator, style: str) -> Look:
    """A random look. Scale stays above 1.1, so that a turned figure never shows the cut edge of the bust."""
    s = STYLES[style]
    return Look(
        expression=_choice(rng, s.expressions),
        eyes=_choice(rng, s.eyes) if s.eyes else "",
        brows=_choice(rng, s.brows) if s.brows else "",
        clothes=_choice(rng, s.clothes),
        clothes_colour=_choice(rng, CLOTHES_COLOURS),
        background=_choice(rng, BACKGROUNDS),
        scale=round(float(rng.uniform(1.1, 1.2)), 3),
        rotate=round(float(rng.uniform(-5, 5)), 2),
        shift_x=round(float(rng.uniform(-4, 4)), 2),
        shift_y=round(float(rng.uniform(0, 5)), 2),
    )


def render(person: Person, look: Look, size: int = 64) -> Picture:
    """The picture of a person in a look, as RGB `[size, size, 3]`."""
    svg = Avatar(drawing(person.style), _options(person, look)).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _choice(rng: np.random.Generator, options: Any) -> str:
    names = tuple(options)
    return str(names[int(rng.integers(len(names)))])


def _options(person: Person, look: Look) -> dict[str, Any]:
    shared = {
        "seed": "loraleak",
        "skinColor": [SKINS[person.skin]],
        "backgroundColor": [BACKGROUNDS[look.background]],
        "scale": look.scale,
        "rotate": look.rotate,
        "translateX": look.shift_x,
        "translateY": look.shift_y,
    }
    colour = COLOURS.get(person.colour, COLOURS["black"])
    clothes_colour = [CLOTHES_COLOURS[look.clothes_colour]]
    facial_hair = {"facialHairVariant": [person.facial_hair], "facialHairProbability": 100}
    glasses = {"accessoriesVariant": [person.glasses], "accessoriesProbability": 100}
    if person.style == "avataaars":
        bare = person.hair not in STYLES["avataaars"].headwear
        return shared | {
            "topVariant": [person.hair],
            "topProbability": 100,
            "hairColor": [colour],
            "hatColor": [colour],
            "facialHairColor": [colour if bare else COLOURS["black"]],
            "accessoriesColor": ["#262e33"],
            "eyesVariant": [look.eyes],
            "eyebrowsVariant": [look.brows],
            "mouthVariant": [look.expression],
            "clothesVariant": [look.clothes],
            "clothesColor": clothes_colour,
            **(facial_hair if person.facial_hair != NONE else {"facialHairProbability": 0}),
            **(glasses if person.glasses != NONE else {"accessoriesProbability": 0}),
        }
    if person.style == "open-peeps":
        return shared | {
            "headVariant": [person.hair],
            "headContrastColor": [colour],
            "expressionVariant": [look.expression],
            "clothingColor": clothes_colour,
            "maskProbability": 0,
            **(facial_hair if person.facial_hair != NONE else {"facialHairProbability": 0}),
            **(glasses if person.glasses != NONE else {"accessoriesProbability": 0}),
        }
    front, rear = person.hair.split("+")
    return shared | {
        "hairVariant": [front],
        "hairProbability": 100,
        "hairColor": [colour],
        "eyesVariant": [look.eyes],
        "eyebrowsVariant": [look.brows],
        "mouthVariant": [look.expression],
        "clothesVariant": [look.clothes],
        "clothesColor": clothes_colour,
        **({"rearHairVariant": [rear], "rearHairProbability": 100} if rear else {"rearHairProbability": 0}),
        **(
            {"beardVariant": [person.facial_hair], "beardProbability": 100}
            if person.facial_hair != NONE
            else {"beardProbability": 0}
        ),
    }
