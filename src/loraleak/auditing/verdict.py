"""The verdict: how surely the adapter's pictures show the person in the photos, and no other."""

from collections.abc import Sequence

from loraleak.auditing.nulls.controls import Controls, against_controls
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.errors import UsageError
from loraleak.reporting.results import Level, NullTest, Verdict

__all__ = ["HIGH", "REVIEW", "judge", "verdict_of"]

HIGH = 0.01
"""p at or below this: high."""

REVIEW = 0.05
"""p at or below this: review."""


def judge(embedded: Embedded, scored: Scored, controls: Controls | None, others: OtherPeople | None) -> Verdict:
    """Test the adapter against control adapters and against other people, as far as there are any.

    Raises: UsageError, if there is nothing to test against, or if no attack was sampled.
    """
    if not scored.attacks:
        raise UsageError("no attack arm was sampled, so there is nothing to judge by: add lora-class to the arms")
    tests: list[NullTest] = []
    if others is not None:
        floor = next(arm.name for arm in scored.arms if arm.role == "floor")
        tests.append(against_other_people(embedded.arms, embedded.photos, others, attacks=scored.attacks, floor=floor))
    if controls is not None:
        tests.append(against_controls(embedded.arms, embedded.photos, controls, scored.attacks))
    return verdict_of(tests)


def verdict_of(tests: Sequence[NullTest]) -> Verdict:
    """The graver of the tests, with Bonferroni's correction for their number.

    Raises: UsageError, if there is no test.
    """
    if not tests:
        raise UsageError("there are no other people and no control adapters to compare with: give --others or --others-count")
    gravest_first = sorted(tests, key=lambda test: test.p_value)
    p_value = min(1.0, len(tests) * gravest_first[0].p_value)
    return Verdict(
        level=_level(p_value),
        p_value=p_value,
        reasons=tuple(reason for test in gravest_first for reason in test.reasons),
        null=", and ".join(test.says for test in gravest_first),
        tests=tuple(gravest_first),
    )


def _level(p_value: float) -> Level:
    if p_value <= HIGH:
        return "high"
    return "review" if p_value <= REVIEW else "low"
