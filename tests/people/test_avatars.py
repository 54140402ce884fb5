"""People are their traits, looks are the rest, and both can be seen in the picture."""

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from loraleak.people.avatars import NONE, Look, Person, draw_look, draw_person, render
from loraleak.people.styles import BACKGROUNDS, CLOTHES_COLOURS, STYLES
from loraleak.types import Picture

EVERY_STYLE = pytest.mark.parametrize("style", list(STYLES))


def _straight(style: str) -> Look:
    """One look without any turn, so that two pictures differ only where the people do."""
    return replace(draw_look(np.random.default_rng(0), style), scale=1.15, rotate=0.0, shift_x=0.0, shift_y=2.0)


def _someone(style: str) -> Person:
    """A person with a bare face, whose hair takes a colour."""
    hair = next(h for h in STYLES[style].hair if h in STYLES[style].coloured)
    return Person(style, hair, "black", "light", NONE, NONE)


def _changed(a: Picture, b: Picture) -> float:
    """Share of pixels that a viewer sees change."""
    return float((np.abs(a.astype(int) - b.astype(int)).max(axis=-1) > 24).mean())


@EVERY_STYLE
def test_equal_seeds_draw_equal_people_looks_and_pixels(style: str) -> None:
    def draw(seed: int) -> tuple[Person, Look]:
        rng = np.random.default_rng(seed)
        return draw_person(rng, style), draw_look(rng, style)

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert np.array_equal(render(*draw(3), size=32), render(*draw(3), size=32))


@EVERY_STYLE
@pytest.mark.parametrize("size", [16, 64])
def test_a_picture_is_rgb_of_the_size_asked_for_and_filled_to_its_corners(style: str, size: int) -> None:
    picture = render(_someone(style), replace(_straight(style), background="teal"), size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [0x7F, 0xC1, 0xBF]


@EVERY_STYLE
def test_every_identity_trait_shows(style: str) -> None:
    someone, look = _someone(style), _straight(style)
    plain = render(someone, look)
    others = [replace(someone, colour="pink"), replace(someone, skin="dark")]
    others += [replace(someone, facial_hair=name) for name in STYLES[style].facial_hair]
    others += [replace(someone, glasses=name) for name in STYLES[style].glasses]
    for other in others:
        assert _changed(plain, render(other, look)) > 0.002, other


@EVERY_STYLE
def test_no_two_hair_shapes_look_alike(style: str) -> None:
    s, look = STYLES[style], _straight(style)
    pictures = [render(Person(style, hair, s.colours_of(hair)[0], "light", NONE, NONE), look, 32) for hair in s.hair]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert _changed(one, other) > 0.005


@EVERY_STYLE
def test_what_a_look_names_shows(style: str) -> None:
    s, someone, look = STYLES[style], _someone(style), _straight(style)
    tables = {
        "expression": tuple(s.expressions),
        "eyes": s.eyes,
        "brows": s.brows,
        "clothes": tuple(s.clothes),
        "clothes_colour": tuple(CLOTHES_COLOURS),
        "background": tuple(BACKGROUNDS),
    }
    for name, options in tables.items():
        pictures = {render(someone, replace(look, **{name: option})).tobytes() for option in options}
        assert len(pictures) == len(options), f"two of {name} are drawn alike"


def test_people_keep_their_traits_while_their_looks_vary() -> None:
    assert not {f.name for f in fields(Person)} & ({f.name for f in fields(Look)} - {"style"})
    rng = np.random.default_rng(0)
    someone = draw_person(rng, "avataaars")
    looks = [draw_look(rng, "avataaars") for _ in range(6)]
    assert len({render(someone, look, 32).tobytes() for look in looks}) == 6
    for name in ("expression", "eyes", "brows", "clothes", "clothes_colour", "background", "scale", "rotate"):
        assert len({getattr(look, name) for look in looks}) > 1, name


@EVERY_STYLE
def test_drawn_people_are_possible_and_use_every_trait(style: str) -> None:
    s = STYLES[style]
    rng = np.random.default_rng(1)
    people = [draw_person(rng, style) for _ in range(3000)]
    assert {p.style for p in people} == {style}
    assert {p.hair for p in people} == set(s.hair)
    assert {p.facial_hair for p in people} == {NONE, *s.facial_hair}
    assert {p.glasses for p in people} == {NONE, *s.glasses}
    assert all(p.colour in s.colours_of(p.hair) for p in people)
    bearded = np.mean([p.facial_hair != NONE for p in people])
    assert bearded == pytest.approx(0.35, abs=4 * (0.35 * 0.65 / 3000) ** 0.5)
    commonest, rarest = (Counter(p.skin for p in people).most_common()[i][1] for i in (0, -1))
    assert commonest < 1.4 * rarest


@EVERY_STYLE
def test_looks_never_show_the_cut_edge_of_the_bust(style: str) -> None:
    rng = np.random.default_rng(2)
    looks = [draw_look(rng, style) for _ in range(500)]
    assert min(look.scale for look in looks) >= 1.1
    assert max(abs(look.rotate) for look in looks) <= 5


@EVERY_STYLE
def test_attributes_are_words_and_tell_people_apart(style: str) -> None:
    rng = np.random.default_rng(3)
    people = {draw_person(rng, style) for _ in range(1000)}
    described = {tuple(p.attributes().values()) for p in people}
    assert len(described) == len(people)
    assert all(word for facts in described for word in facts)


@EVERY_STYLE
def test_every_style_carries_its_licence_and_its_author(style: str) -> None:
    assert STYLES[style].licence and "https://" in STYLES[style].credit
