"""Levels follow p, and two tests are corrected for being two."""

import pytest

from loraleak.auditing.verdict import verdict_of
from loraleak.reporting.results import NullTest, PositiveControl


def _test(p_value: float, smallest_p: float = 0.005, says: str = "others") -> NullTest:
    return NullTest("other-people", says, p_value, smallest_p, (f"{says}: {p_value}",))


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
    return PositiveControl(name, passed, "says")  # type: ignore[arg-type]


def test_a_comparison_that_cannot_find_anything_is_undecided() -> None:
    verdict = verdict_of([_test(1.0, smallest_p=1 / 15)])
    assert verdict.level == "undecided"
    assert "no p-value below 0.067 is possible" in verdict.missing and "--others" in verdict.missing


@pytest.mark.parametrize(("name", "remedy"), [("photos", "--embedder"), ("prompt", "--prompt")])
def test_silence_after_a_failed_positive_control_is_undecided(name: str, remedy: str) -> None:
    verdict = verdict_of([_test(0.5)], [_control(name, passed=False)])
    assert verdict.level == "undecided" and remedy in verdict.missing
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
