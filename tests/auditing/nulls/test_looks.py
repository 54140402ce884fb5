"""Looks between the arms: the place on the list, and that it keeps its error rate."""

import numpy as np
import pytest
from scipy.stats import kstest

from loraleak.auditing.nulls.looks import Looks, place_of_first
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.types import Embeddings, Sightings

_PEOPLE, _LOOKS, _AUDITS = 100, 5, 2000


def _audits(lead: float = 0.0) -> np.ndarray:
    """Running maxima over arms that are alike, `[audits, looks, people]`; the first person has a lead in every arm."""
    rng = np.random.default_rng(0)
    arms = rng.standard_normal((_AUDITS, 1, _PEOPLE)) + rng.standard_t(4, (_AUDITS, _LOOKS, _PEOPLE))
    arms[:, :, 0] += lead
    return np.maximum.accumulate(arms, axis=1)


@pytest.mark.parametrize("margin", [2.0, 4.0, 99.0])
def test_a_person_like_all_others_gets_a_place_at_random_whenever_the_audit_stops(margin: float) -> None:
    p_values = []
    for looks in _audits():
        seen = [place_of_first(list(looks[: i + 1]), margin) / _PEOPLE for i in range(_LOOKS)]
        early = [p for p in seen if p <= 0.05]
        p_values.append(early[0] if early else place_of_first(list(looks), margin, closed=True) / _PEOPLE)
    p = np.array(p_values)
    for level in (0.01, 0.05):
        assert (p <= level).mean() <= level + 3 * (level / _AUDITS) ** 0.5
    assert kstest(p, "uniform").statistic < 0.04  # p has steps of 0.01


def test_a_person_who_stands_out_is_found_at_the_first_look_and_keeps_the_place() -> None:
    looks = _audits(lead=12.0)
    first = np.array([place_of_first(list(mine[:1]), 6.0) for mine in looks]) <= 1
    last = np.array([place_of_first(list(mine), 6.0, closed=True) for mine in looks]) <= 1
    assert first.mean() > 0.9 and last[first].all()


def test_without_a_margin_that_anybody_reaches_p_is_that_of_the_usual_test() -> None:
    rng = np.random.default_rng(1)
    people: list[Embeddings] = [rng.standard_normal((3, 8)).astype(np.float32) for _ in range(20)]
    arms = {name: Sightings.one_each(rng.standard_normal((4, 8)).astype(np.float32)) for name in ("floor", "a", "b")}
    others = OtherPeople(tuple(people[1:]), "people")
    looks = Looks(people[0], others, margin=99.0)
    assert looks.look(arms, attacks=["a"], floor="floor") == 1
    assert looks.look(arms, attacks=["a", "b"], floor="floor") == 1
    usual = against_other_people(arms, people[0], others, attacks=["a", "b"], floor="floor")
    assert looks.p_value == usual.p_value


def test_equal_statistics_share_the_last_place() -> None:
    assert place_of_first([np.array([3.0, 3.0, 5.0, 1.0])], 2.0) == 3
    assert place_of_first([np.array([1.0, 9.0, 1.0]), np.array([9.0, 9.0, 9.0])], 5.0) == 3
    assert place_of_first([np.array([1.0, 9.0, 1.0])], 5.0) == 3  # not certain yet
