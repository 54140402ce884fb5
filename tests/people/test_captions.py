"""Captions say what a picture shows, and only that."""

from dataclasses import replace

import numpy as np
import pytest

from loraleak.people.avatars import NONE, Look, Person, draw_look, draw_person
from loraleak.people.captions import CLASS_PROMPT, caption, varied_caption
from loraleak.people.styles import STYLES

LOOK = Look(
    expression="sad",
    eyes="default",
    brows="default",
    clothes="hoodie",
    clothes_colour="mint",
    background="sand",
    scale=1.15,
    rotate=0.0,
    shift_x=0.0,
    shift_y=0.0,
)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (
            Person("avataaars", "bob", "red", "dark", NONE, "round"),
            "a cartoon photo of a person with dark skin, red bob, round glasses, sad, mint hoodie, sand background",
        ),
        (
            Person("avataaars", "hijab", "blue", "pale", "beardLight", NONE),
            "a cartoon photo of a person with pale skin, blue hijab, short beard, sad, mint hoodie, sand background",
        ),
    ],
)
def test_the_whole_sentence(person: Person, expected: str) -> None:
    assert caption(person, LOOK) == expected


def test_a_bald_head_has_no_hair_colour() -> None:
    look = replace(LOOK, expression="calm", clothes="")
    said = caption(Person("open-peeps", "noHair1", "none", "tan", NONE, NONE), look)
    assert said == "a sketch photo of a person with tan skin, bald, calm, mint shirt, sand background"


@pytest.mark.parametrize("style", list(STYLES))
def test_every_trait_present_is_named_and_no_absent_one(style: str) -> None:
    s = STYLES[style]
    rng = np.random.default_rng(0)
    for _ in range(300):
        person, look = draw_person(rng, style), draw_look(rng, style)
        head, _, said = caption(person, look).partition(" with ")
        clauses = said.split(", ")
        assert head == f"a {s.word} photo of a person"
        assert f"{person.skin} skin" in clauses
        assert (s.hair[person.hair] if person.hair in s.bald else f"{person.colour} {s.hair[person.hair]}") in clauses
        beards, worn = set(clauses) & set(s.facial_hair.values()), set(clauses) & set(s.glasses.values())
        assert beards == ({s.facial_hair[person.facial_hair]} if person.facial_hair != NONE else set())
        assert worn == ({s.glasses[person.glasses]} if person.glasses != NONE else set())
        assert s.expressions[look.expression] in clauses
        assert f"{look.clothes_colour} {s.clothes[look.clothes]}" in clauses
        assert f"{look.background} background" in clauses
        assert len(clauses) == 5 + (person.facial_hair != NONE) + (person.glasses != NONE)


@pytest.mark.parametrize("style", list(STYLES))
def test_no_two_variants_share_their_words(style: str) -> None:
    s = STYLES[style]
    for table in (s.hair, s.facial_hair, s.glasses, s.expressions, s.clothes):
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("style", list(STYLES))
def test_a_varied_caption_leaves_out_but_never_adds(style: str) -> None:
    rng = np.random.default_rng(0)
    person, look = draw_person(rng, style), draw_look(rng, style)
    whole = caption(person, look).partition(" with ")[2].split(", ")
    subjects = {CLASS_PROMPT, f"a {STYLES[style].word} photo of a person"}
    captions = [varied_caption(rng, person, look) for _ in range(500)]
    assert whole in [said.partition(" with ")[2].split(", ") for said in captions]
    for said in filter(None, captions):
        subject, _, rest = said.partition(" with ")
        assert subject in subjects
        kept = rest.split(", ") if rest else []
        assert kept == [clause for clause in whole if clause in kept], "a part was added or the order changed"


def test_a_base_meets_the_empty_and_the_class_prompt_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    person = Person("avataaars", "bob", "red", "dark", NONE, "round")
    captions = [varied_caption(rng, person, LOOK, empty=0.1, class_only=0.3) for _ in range(3000)]
    assert np.mean([said == "" for said in captions]) == pytest.approx(0.1, abs=0.025)
    assert np.mean([said == CLASS_PROMPT for said in captions]) == pytest.approx(0.3, abs=0.04)


def test_identity_is_kept_more_often_than_the_look() -> None:
    rng = np.random.default_rng(0)
    person = Person("avataaars", "bob", "red", "dark", NONE, "round")
    captions = [varied_caption(rng, person, LOOK, empty=0.0, class_only=0.0) for _ in range(3000)]
    assert np.mean(["red bob" in said for said in captions]) == pytest.approx(0.94, abs=0.02)
    assert np.mean(["mint hoodie" in said for said in captions]) == pytest.approx(0.6, abs=0.04)
    assert np.mean(["cartoon" in said for said in captions]) == pytest.approx(0.6, abs=0.04)


def test_equal_seeds_vary_equally() -> None:
    person = Person("avataaars", "bob", "red", "dark", NONE, NONE)
    one, same = (np.random.default_rng(7) for _ in range(2))
    assert [varied_caption(one, person, LOOK) for _ in range(20)] == [varied_caption(same, person, LOOK) for _ in range(20)]
