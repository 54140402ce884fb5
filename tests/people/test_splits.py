"""No person is ever in two splits."""

from collections import Counter

import numpy as np
import pytest

from loraleak.errors import UsageError
from loraleak.people.avatars import NONE, Person, draw_person
from loraleak.people.names import SPLITS, Split
from loraleak.people.splits import draw_people, split_of
from loraleak.people.styles import STYLES

ALL_STYLES = tuple(STYLES)


def test_splits_share_nobody_over_thousands_of_draws() -> None:
    homes: dict[Person, set[str]] = {}
    for split in SPLITS:
        for seed in range(2):
            for person in draw_people(split, 800, seed=seed, styles=ALL_STYLES):
                homes.setdefault(person, set()).add(split)
    assert len(homes) > 5000
    assert {len(found) for found in homes.values()} == {1}


def test_the_split_of_a_person_never_changes() -> None:
    """Pinned: with other splits, shipped models would have seen today's victims."""
    assert split_of(Person("open-peeps", "noHair1", "none", "tan", NONE, NONE)) == "base"
    assert split_of(Person("avataaars", "bob", "red", "dark", NONE, "round")) == "embedder"
    assert split_of(Person("avataaars", "hat", "black", "pale", NONE, NONE)) == "public"
    assert split_of(Person("toon-head", "bun+longWavy", "gold", "tan", "chin", NONE)) == "victims"


@pytest.mark.parametrize("split", SPLITS)
def test_draws_are_of_their_split_distinct_and_of_all_styles_alike(split: Split) -> None:
    people = draw_people(split, 60, seed=0, styles=ALL_STYLES)
    assert {split_of(p) for p in people} == {split}
    assert len(set(people)) == len(people) == 60
    assert [p.style for p in people[:6]] == list(ALL_STYLES) * 2
    assert Counter(p.style for p in people) == {style: pytest.approx(20, abs=2) for style in ALL_STYLES}


def test_equal_seeds_draw_equal_people_and_a_longer_draw_goes_on() -> None:
    ten = draw_people("victims", 10, seed=5)
    assert draw_people("victims", 10, seed=5) == ten
    assert draw_people("victims", 30, seed=5)[:10] == ten
    assert draw_people("victims", 10, seed=6) != ten


def test_the_default_styles_leave_toon_head_for_transfer() -> None:
    assert {p.style for p in draw_people("base", 50, seed=0)} == {"avataaars", "open-peeps"}
    assert {p.style for p in draw_people("victims", 5, seed=0, styles=("toon-head",))} == {"toon-head"}


def test_shares_are_as_documented() -> None:
    rng = np.random.default_rng(0)
    people = {draw_person(rng, style) for style in ALL_STYLES for _ in range(4000)}
    counts = Counter(split_of(p) for p in people)
    for split, share in {"base": 0.4, "embedder": 0.25, "public": 0.2, "victims": 0.1, "controls": 0.05}.items():
        assert counts[split] / len(people) == pytest.approx(share, abs=0.02)


def test_people_may_come_again_when_asked() -> None:
    again = draw_people("victims", 3000, seed=0, styles=("toon-head",), distinct=False)
    assert len(again) == 3000 > len(set(again))


def test_asking_for_more_people_than_there_are_is_an_error_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.people.splits._MAX_REPEATS", 20)
    with pytest.raises(UsageError, match=r"toon-head have only about .* in victims: ask for fewer"):
        draw_people("victims", 100_000, seed=0, styles=("toon-head",))


def test_nobody_is_an_answer() -> None:
    assert draw_people("public", 0, seed=0) == []
