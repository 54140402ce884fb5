"""Levels follow p, and two tests are corrected for being two."""

from collections.abc import Callable

import numpy as np
import pytest

from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.auditing.verdict import judge, verdict_of
from loraleak.reporting.results import ArmResult, NullTest, PositiveControl
from loraleak.types import Interval, Sightings


def _test(p_value: float, smallest_p: float = 0.005, says: str = "others") -> NullTest:
    return NullTest("other-people", says, p_value, smallest_p, (f"{says}: {p_value}",), 0.0)


@pytest.mark.parametrize(
    ("p_value", "level"), [(0.01, "high"), (0.011, "review"), (0.05, "review"), (0.051, "low"), (1.0, "low")]
)
def test_levels_follow_p(p_value: float, level: str) -> None:
    assert verdict_of([_test(p_value)]).level == level


def test_of_two_tests_the_graver_counts_and_p_is_doubled() -> None:
    verdict = verdict_of([_test(0.3, says="controls"), _test(0.005)])
    assert verdict.p_value == 0.01 and verdict.level == "high"
    assert verdict.reasons == ("others: 0.005", "controls: 0.3")
    assert verdict.null == "others, and controls" and verdict.smallest_p == 0.01
    assert verdict_of([_test(0.9), _test(0.8)]).p_value == 1.0


def _control(name: str, *, passed: bool) -> PositiveControl:
    return PositiveControl(name, passed, "says", "" if passed else "do this")  # type: ignore[arg-type]


def test_a_comparison_that_cannot_find_anything_is_undecided() -> None:
    verdict = verdict_of([_test(1.0, smallest_p=1 / 15)])
    assert verdict.level == "undecided"
    assert "no p-value below 0.067 is possible" in verdict.missing and "--others" in verdict.missing


@pytest.mark.parametrize("name", ["photos", "prompt", "known-leaks"])
def test_silence_after_a_failed_positive_control_is_undecided(name: str) -> None:
    verdict = verdict_of([_test(0.5)], [_control(name, passed=False)])
    assert verdict.level == "undecided" and verdict.missing == "do this"
    assert verdict_of([_test(0.5)], [_control(name, passed=True)]).level == "low"


def test_a_failed_positive_control_takes_nothing_from_a_finding() -> None:
    verdict = verdict_of([_test(0.005)], [_control("photos", passed=False)])
    assert verdict.level == "high" and not verdict.missing


@pytest.mark.parametrize(
    ("p_value", "failed", "gates"),
    [
        (0.5, False, {"low"}),
        (0.5, True, {"low", "review"}),
        (0.05, False, {"low", "review"}),
        (0.01, False, {"low", "review", "high"}),
    ],
)
def test_an_undecided_verdict_reaches_the_gates_of_review(p_value: float, failed: bool, gates: set[str]) -> None:
    verdict = verdict_of([_test(p_value)], [_control("photos", passed=not failed)])
    assert {gate for gate in ("low", "review", "high", "never") if verdict.reaches(gate)} == gates  # type: ignore[arg-type]


def _judged(*, leaks: bool, known: Callable[[], PositiveControl]) -> str:
    rng = np.random.default_rng(0)
    units = rng.standard_normal((70, 32)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    photos = np.stack([units[0]] * 3)
    drawn = {"base-class": units[1:5], "lora-class": np.stack([units[0] if leaks else units[5]] * 4)}
    pictures = {name: Sightings.one_each(vectors) for name, vectors in drawn.items()}
    nothing = np.zeros((4, 1, 1, 3), np.uint8)
    roles = {"base-class": "floor", "lora-class": "attack"}
    arms = [
        ArmResult(n, r, "", nothing, Interval(0.0, 0.0, 0.0), None, None, (), (), ())  # type: ignore[arg-type]
        for n, r in roles.items()
    ]
    others = OtherPeople(tuple(unit[None] for unit in units[6:]), "people")
    scored = Scored(tuple(arms), np.zeros(3))
    return judge(Embedded(photos, pictures), scored, ("a", "b", "c"), others, None, known).level


def test_files_with_known_leaks_are_asked_only_where_nothing_is_found() -> None:
    def never() -> PositiveControl:
        raise AssertionError

    assert _judged(leaks=True, known=never) in ("review", "high")


@pytest.mark.parametrize(("passed", "level"), [(True, "low"), (False, "undecided")])
def test_low_needs_a_way_of_auditing_that_finds_known_leaks(passed: bool, level: str) -> None:
    assert _judged(leaks=False, known=lambda: _control("known-leaks", passed=passed)) == level
