"""Levels follow p, and two tests are corrected for being two."""

import pytest

from loraleak.auditing.verdict import verdict_of
from loraleak.errors import UsageError
from loraleak.reporting.results import NullTest


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


def test_without_a_test_there_is_no_verdict() -> None:
    with pytest.raises(UsageError, match="--others"):
        verdict_of([])
