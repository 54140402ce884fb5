"""The verdict: how surely the adapter's pictures show the person in the photos, and no other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from loraleak.auditing.calibration import posterior
from loraleak.auditing.levels import HIGH, REVIEW
from loraleak.auditing.looking import Stopped
from loraleak.auditing.nulls.controls import against_controls
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.auditing.positive_controls import owner_prompt_is_seen, photos_show_one_person
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.errors import UsageError
from loraleak.kits import Calibration, Controls
from loraleak.reporting import Level, Verdict
from loraleak.reporting.results import NullTest, PositiveControl, Probability

__all__ = ["judge", "probability_of", "verdict_of"]

_PRIORS = (0.1, 0.5, 0.9)


def judge(
    embedded: Embedded,
    scored: Scored,
    names: tuple[str, ...],
    others: OtherPeople,
    controls: Controls | None,
    known_leaks: Callable[[], PositiveControl],
    calibration: Calibration | None = None,
    looks: Stopped | None = None,
) -> Verdict:
    """Test the adapter against other people, and against control adapters where there are any. `names` are the photos'.

    `known_leaks` is asked only where the tests find nothing. `looks` are those of an audit that could stop early. If it did, the
    control adapters are not looked at, because their p holds for all arms only. Their test counts all the same.

    Raises: UsageError, if no attack was sampled.
    """
    if not scored.attacks:
        raise UsageError("no attack arm was sampled, so there is nothing to judge by: add lora-class to the arms")
    floor = next(arm.name for arm in scored.arms if arm.role == "floor")
    tests = [against_other_people(embedded.pictures, embedded.photos, others, attacks=scored.attacks, floor=floor)]
    probability = None if calibration is None else probability_of(calibration, tests[0].statistic)
    if looks is not None:
        tests[0] = replace(tests[0], p_value=looks.p_value)
    count = 1 if controls is None else 2
    if controls is not None and not (looks is not None and looks.stopped):
        tests.append(against_controls(embedded.arms, embedded.photos, controls, scored.attacks))
    checks = [photos_show_one_person(embedded, names, others)]
    prompt = owner_prompt_is_seen(embedded, scored, others)
    if prompt is not None:
        checks.append(prompt)
    if verdict_of(tests, count=count).p_value > REVIEW:
        checks.append(known_leaks())
    return replace(verdict_of(tests, checks, count=count), probability=probability)


def probability_of(calibration: Calibration, statistic: float) -> Probability:
    """Posteriors for three priors: a person who doubts, one who does not know, one who expects it."""
    pairs = tuple((prior, float(posterior(calibration, np.array([statistic]), prior)[0])) for prior in _PRIORS)
    return Probability(pairs, calibration.error)


def verdict_of(
    tests: Sequence[NullTest], positive_controls: Sequence[PositiveControl] = (), *, count: int | None = None
) -> Verdict:
    """The verdict of the gravest test, with Bonferroni's correction for the number of tests: `count`, where one was left out.

    Where the tests find nothing, the level is `low` only if they could have found something.
    """
    gravest_first = sorted(tests, key=lambda test: test.p_value)
    p_value = min(1.0, (count or len(tests)) * gravest_first[0].p_value)
    missing = _missing(tests, positive_controls) if p_value > REVIEW else ""
    return Verdict(
        level="undecided" if missing else _level(p_value),
        p_value=p_value,
        reasons=tuple(reason for test in gravest_first for reason in test.reasons),
        null=", and ".join(test.says for test in gravest_first),
        tests=tuple(gravest_first),
        positive_controls=tuple(positive_controls),
        missing=missing,
    )


def _level(p_value: float) -> Level:
    if p_value <= HIGH:
        return "high"
    return "review" if p_value <= REVIEW else "low"


def _missing(tests: Sequence[NullTest], positive_controls: Sequence[PositiveControl]) -> str:
    """The reason why this audit cannot say `low`, and its remedy; empty where it can."""
    finest = len(tests) * min(test.smallest_p for test in tests)
    if finest > REVIEW:
        return (
            f"With so few people to compare with, no p-value below {finest:.2g} is possible, and a finding needs {REVIEW}. Give "
            "photos of more people with --others."
        )
    return next((control.remedy or control.says for control in positive_controls if not control.passed), "")
