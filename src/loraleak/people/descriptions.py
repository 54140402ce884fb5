"""People in words, for a base to draw: traits that stay from picture to picture, and looks that change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loraleak.people.avatars import draw_look
from loraleak.people.captions import caption
from loraleak.people.splits import draw_people

__all__ = ["Described", "described_avatars", "described_people"]


@dataclass(frozen=True)
class Described:
    """One person in words: a prompt for each picture."""

    name: str
    prompts: tuple[str, ...]


_NAMES: Mapping[str, Sequence[str]] = {
    "woman": [
        "Abena",
        "Agnes",
        "Ayşe",
        "Bronwen",
        "Camila",
        "Chiara",
        "Dilnoza",
        "Esperanza",
        "Farida",
        "Gudrun",
        "Hana",
        "Ingrid",
        "Jolanta",
        "Kavita",
        "Leilani",
        "Linh",
        "Marta",
        "Mehwish",
        "Naledi",
        "Odile",
        "Petra",
        "Priya",
        "Rosa",
        "Saoirse",
        "Tamar",
        "Wanjiru",
        "Xiomara",
        "Yuki",
        "Zeinab",
        "Zuzana",
    ],
    "man": [
        "Adewale",
        "Bartosz",
        "Bogdan",
        "Cheng",
        "Diego",
        "Emeka",
        "Farhad",
        "Gustav",
        "Hamza",
        "Hiroshi",
        "Ivo",
        "Joaquim",
        "Kofi",
        "Laszlo",
        "Mateus",
        "Mehmet",
        "Nikhil",
        "Olaf",
        "Pavel",
        "Quang",
        "Rashid",
        "Sandor",
        "Sione",
        "Tariq",
        "Thabo",
        "Umberto",
        "Viktor",
        "Wiremu",
        "Yannick",
        "Zoltan",
    ],
}
_SURNAMES = [
    "Abubakar",
    "Almeida",
    "Baptiste",
    "Bergström",
    "Castillo",
    "Chowdhury",
    "Dlamini",
    "Eriksen",
    "Fontaine",
    "Gupta",
    "Haddad",
    "Horvath",
    "Ishikawa",
    "Jankowski",
    "Kariuki",
    "Keller",
    "Lindqvist",
    "Mahlangu",
    "Moretti",
    "Nakamura",
    "Ndiaye",
    "Novak",
    "Okafor",
    "Papadakis",
    "Quispe",
    "Rahimi",
    "Sorensen",
    "Tanaka",
    "Uzun",
    "Vasquez",
]
_AGES = range(20, 76)
_SKIN = ("pale", "fair", "olive", "light brown", "brown", "dark brown")
_HAIR = (
    "short black hair",
    "short brown hair",
    "short grey hair",
    "curly dark hair",
    "curly red hair",
    "straight blond hair",
    "wavy brown hair",
    "long black hair",
    "long blond hair",
    "a shaved head",
)
_MARKS = ("", "", "", "freckles", "glasses", "round glasses", "a scar on the chin", "dimples", "thick eyebrows")
_BEARDS = ("", "", "stubble", "a short beard", "a full beard", "a moustache")

_EXPRESSIONS = ("smiling", "laughing", "serious", "looking away", "thoughtful")
_CLOTHES = ("a white T-shirt", "a blue shirt", "a grey hoodie", "a black coat", "a red jumper", "a denim jacket")
_PLACES = (
    "in a kitchen",
    "on a street",
    "in a park",
    "at a desk",
    "in a living room",
    "on a beach",
    "in front of a brick wall",
    "in a car",
)


def described_people(count: int, pictures: int, *, seed: int, given: Sequence[str] = ()) -> list[Described]:
    """Different people, for a base that knows photographs. `given` are descriptions such as “a tall woman with red hair”.

    Otherwise name, age, skin, hair and marks are drawn. A name of its own helps a base to draw one face again and again.
    """
    rng = np.random.default_rng(seed)
    people: dict[str, None] = dict.fromkeys(given)
    while len(people) < count:
        people[_person(rng)] = None
    return [
        Described(f"person-{i:03d}", tuple(f"a photo of {person}, {_look(rng)}" for _ in range(pictures)))
        for i, person in enumerate(list(people)[:count])
    ]


def described_avatars(count: int, pictures: int, *, seed: int) -> list[Described]:
    """Different people, for pocket, in the words that it knows."""
    people, rng = draw_people("controls", count, seed=seed), np.random.default_rng([seed, 1])
    return [
        Described(f"person-{i:03d}", tuple(caption(person, draw_look(rng, person.style)) for _ in range(pictures)))
        for i, person in enumerate(people)
    ]


def _person(rng: np.random.Generator) -> str:
    sex = str(rng.choice(list(_NAMES)))
    traits = [f"{rng.choice(_SKIN)} skin", str(rng.choice(_HAIR)), str(rng.choice(_MARKS))]
    traits += [str(rng.choice(_BEARDS))] if sex == "man" else []
    words = [trait for trait in traits if trait]
    name = f"{rng.choice(_NAMES[sex])} {rng.choice(_SURNAMES)}"
    return f"{name}, a {rng.choice(_AGES)} year old {sex} with {', '.join(words[:-1])} and {words[-1]}"


def _look(rng: np.random.Generator) -> str:
    return f"{rng.choice(_EXPRESSIONS)}, wearing {rng.choice(_CLOTHES)}, {rng.choice(_PLACES)}"
