"""The drawing styles: which parts make a person, which vary from picture to picture, and the words for each.

Every table maps a variant's name in the style's definition to the words that a caption uses. Some variants are left out,
because nuisance would leak into identity or the drawing breaks: open-peeps headwear and hair bands that take the clothing
colour, the bear head, heart and cyclops eyes, the unibrow, and variants that cannot be told apart at 64 pixels.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from dicebear import Style as Drawing

__all__ = ["BACKGROUNDS", "CLOTHES_COLOURS", "COLOURS", "NO_COLOUR", "SKINS", "STYLES", "Style", "drawing"]

COLOURS: Mapping[str, str] = {
    "black": "#2c1b18",
    "brown": "#724133",
    "copper": "#a55728",
    "gold": "#d6b370",
    "red": "#c93305",
    "silver": "#e8e1e1",
    "pink": "#f59797",
    "blue": "#4f74c9",
}
"""Colours of hair and headwear."""

NO_COLOUR = "none"
"""The colour of a head without hair or headwear."""

SKINS: Mapping[str, str] = {
    "pale": "#ffdbb4",
    "light": "#edb98a",
    "tan": "#d08b5b",
    "brown": "#ae5d29",
    "dark": "#614335",
    "yellow": "#f8d25c",
}

CLOTHES_COLOURS: Mapping[str, str] = {
    "black": "#262e33",
    "sky": "#65c9ff",
    "navy": "#25557c",
    "grey": "#929598",
    "mint": "#a7ffc4",
    "rose": "#ff488e",
    "coral": "#ff5c5c",
    "white": "#ffffff",
    "orange": "#ffb04f",
    "violet": "#8a63d2",
}

BACKGROUNDS: Mapping[str, str] = {
    "blue": "#b6d4f0",
    "green": "#b9e0bd",
    "sand": "#efe3c4",
    "grey": "#d5d8dc",
    "lilac": "#d9cdf0",
    "peach": "#f9d3c0",
    "teal": "#7fc1bf",
    "slate": "#8794a8",
}


@dataclass(frozen=True)
class Style:
    """One drawing style: what may be chosen for a person, and what for a picture."""

    name: str
    word: str
    licence: str
    credit: str
    hair: Mapping[str, str]
    headwear: frozenset[str]
    coloured: frozenset[str]
    """Heads whose hair takes a colour. The others are drawn in black ink."""
    bald: frozenset[str]
    facial_hair: Mapping[str, str]
    glasses: Mapping[str, str]
    expressions: Mapping[str, str]
    clothes: Mapping[str, str]
    eyes: tuple[str, ...] = ()
    brows: tuple[str, ...] = ()

    def colours_of(self, hair: str) -> tuple[str, ...]:
        """The colours that this head can have."""
        if hair in self.bald:
            return (NO_COLOUR,)
        return tuple(COLOURS) if hair in self.coloured else ("black",)


@cache
def drawing(style: str) -> Drawing:
    """The parsed definition of a style, from the styles package."""
    return Drawing(json.loads(files("dicebear_styles").joinpath(f"{style}.json").read_text("utf-8")))


_AVATAAARS_HEADWEAR = {
    "froBand": "afro with a band",
    "hat": "brimmed hat",
    "hijab": "hijab",
    "turban": "turban",
    "winterHat02": "bobble hat",
    "winterHat03": "fur hat",
    "winterHat04": "eared hat",
    "winterHat1": "ushanka",
}
_AVATAAARS_HAIR = {
    "bigHair": "big hair",
    "bob": "bob",
    "bun": "top bun",
    "curly": "curly hair",
    "curvy": "curvy hair",
    "dreads": "long dreads",
    "dreads02": "short dreads",
    "frida": "flower braids",
    "frizzle": "frizzle",
    "fro": "afro",
    "longButNotTooLong": "shoulder hair",
    "miaWallace": "fringe bob",
    "shaggy": "shaggy hair",
    "shaggyMullet": "mullet",
    "shavedSides": "shaved sides",
    "shortCurly": "short curls",
    "shortFlat": "short hair",
    "shortWaved": "waved hair",
    "sides": "side hair",
    "straight01": "straight hair",
    "straight02": "sleek hair",
    "straightAndStrand": "strand hair",
    "theCaesar": "caesar cut",
}

_AVATAAARS = Style(
    name="avataaars",
    word="cartoon",
    licence="free for personal and commercial use",
    credit="Avataaars by Pablo Stanley, https://avataaars.com",
    hair=_AVATAAARS_HAIR | _AVATAAARS_HEADWEAR,
    headwear=frozenset(_AVATAAARS_HEADWEAR) - {"froBand"},
    coloured=frozenset(_AVATAAARS_HAIR | _AVATAAARS_HEADWEAR),
    bald=frozenset(),
    facial_hair={
        "beardLight": "short beard",
        "beardMedium": "full beard",
        "beardMajestic": "long beard",
        "moustacheFancy": "fancy moustache",
        "moustacheMagnum": "thick moustache",
    },
    glasses={
        "prescription02": "square glasses",
        "round": "round glasses",
        "sunglasses": "sunglasses",
        "kurt": "goggles",
        "eyepatch": "eyepatch",
    },
    expressions={
        "concerned": "concerned",
        "default": "calm",
        "disbelief": "puzzled",
        "eating": "eating",
        "grimace": "grimacing",
        "sad": "sad",
        "screamOpen": "screaming",
        "serious": "serious",
        "smile": "smiling",
        "tongue": "teasing",
        "twinkle": "smirking",
    },
    clothes={
        "blazerAndShirt": "blazer",
        "blazerAndSweater": "jacket",
        "collarAndSweater": "sweater",
        "graphicShirt": "print",
        "hoodie": "hoodie",
        "overall": "overall",
        "shirtCrewNeck": "shirt",
        "shirtScoopNeck": "top",
        "shirtVNeck": "vneck",
    },
    eyes=("closed", "default", "eyeRoll", "happy", "side", "squint", "surprised", "wink", "winkWacky"),
    brows=(
        "angry",
        "angryNatural",
        "default",
        "defaultNatural",
        "flatNatural",
        "frownNatural",
        "raisedExcited",
        "raisedExcitedNatural",
        "sadConcerned",
        "sadConcernedNatural",
        "upDown",
        "upDownNatural",
    ),
)

_PEEPS_COLOURED = {
    "bangs": "bangs",
    "grayBun": "low bun",
    "grayMedium": "parted bob",
    "grayShort": "combed hair",
    "mediumBangs2": "curly bangs",
    "mohawk": "mohawk",
    "mohawk2": "spiky mohawk",
    "noHair3": "side hair",
    "short4": "quiff",
}
_PEEPS_INK = {
    "afro": "afro",
    "bangs2": "fringe bob",
    "bantuKnots": "bantu knots",
    "buns": "four buns",
    "cornrows": "cornrows",
    "cornrows2": "braided cornrows",
    "dreads1": "long dreads",
    "dreads2": "short dreads",
    "flatTop": "flat top",
    "flatTopLong": "high top",
    "hatHip": "brimmed hat",
    "long": "long hair",
    "longAfro": "big afro",
    "longBangs": "long bangs",
    "longCurly": "long curls",
    "medium1": "bowl bob",
    "medium2": "flipped hair",
    "medium3": "shoulder hair",
    "mediumBangs": "wavy bangs",
    "mediumBangs3": "choppy bangs",
    "mediumStraight": "sleek hair",
    "pomp": "pompadour",
    "shaved1": "undercut",
    "shaved2": "shaved sides",
    "shaved3": "wild hair",
    "short1": "short hair",
    "short3": "side part",
    "short5": "cropped hair",
    "twists": "twists",
    "twists2": "flat twists",
}

_PEEPS = Style(
    name="open-peeps",
    word="sketch",
    licence="CC0 1.0",
    credit="Open Peeps by Pablo Stanley, https://www.openpeeps.com",
    hair=_PEEPS_COLOURED | _PEEPS_INK | {"noHair1": "bald"},
    headwear=frozenset({"hatHip"}),
    coloured=frozenset(_PEEPS_COLOURED),
    bald=frozenset({"noHair1"}),
    facial_hair={
        "chin": "chin strap",
        "full": "short beard",
        "full3": "full beard",
        "goatee2": "goatee",
        "moustache3": "fancy moustache",
        "moustache5": "thick moustache",
    },
    glasses={
        "glasses": "square glasses",
        "glasses2": "round glasses",
        "sunglasses": "sunglasses",
        "eyepatch": "eyepatch",
    },
    expressions={
        "angryWithFang": "snarling",
        "awe": "amazed",
        "blank": "blank",
        "calm": "calm",
        "cheeky": "teasing",
        "concerned": "concerned",
        "concernedFear": "worried",
        "contempt": "smirking",
        "cute": "sweet",
        "driven": "driven",
        "eatingHappy": "eating",
        "explaining": "talking",
        "eyesClosed": "dozing",
        "fear": "afraid",
        "hectic": "hectic",
        "old": "old",
        "rage": "raging",
        "serious": "serious",
        "smile": "smiling",
        "smileBig": "grinning",
        "smileLOL": "laughing",
        "smileTeethGap": "beaming",
        "solemn": "solemn",
        "suspicious": "suspicious",
        "tired": "tired",
        "veryAngry": "angry",
    },
    clothes={"": "shirt"},
)

_TOON_FRONT = {"bun": "bun", "sideComed": "side combed hair", "spiky": "spiky hair", "undercut": "undercut"}
_TOON_REAR = {
    "": "",
    "longStraight": "over long hair",
    "longWavy": "over wavy hair",
    "neckHigh": "over neck hair",
    "shoulderHigh": "over shoulder hair",
}
_TOON_HAIR = {f"{f}+{r}": f"{fw} {rw}".strip() for f, fw in _TOON_FRONT.items() for r, rw in _TOON_REAR.items()}

_TOON = Style(
    name="toon-head",
    word="toon",
    licence="CC BY 4.0",
    credit="ToonHead by Johan Melin, https://www.johanmelin.com",
    hair=_TOON_HAIR,
    headwear=frozenset(),
    coloured=frozenset(_TOON_HAIR),
    bald=frozenset(),
    facial_hair={
        "chin": "goatee",
        "chinMoustache": "short beard",
        "fullBeard": "full beard",
        "longBeard": "long beard",
        "moustacheTwirl": "fancy moustache",
    },
    glasses={},
    expressions={"agape": "amazed", "angry": "angry", "laugh": "laughing", "sad": "sad", "smile": "smiling"},
    clothes={
        "dress": "dress",
        "openJacket": "jacket",
        "shirt": "shirt",
        "tShirt": "tee",
        "turtleNeck": "sweater",
    },
    eyes=("happy", "humble", "wide", "wink"),
    brows=("angry", "happy", "neutral", "raised", "sad"),
)

STYLES: Mapping[str, Style] = {style.name: style for style in (_AVATAAARS, _PEEPS, _TOON)}
