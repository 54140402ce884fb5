"""An audit's settings are checked before anything is loaded."""

from pathlib import Path
from typing import Any

import pytest

from loraleak.auditing.audit_settings import AuditSettings
from loraleak.errors import UsageError


def test_the_least_that_can_be_scored_is_two_of_each() -> None:
    assert AuditSettings(images=2, steps=2).images == 2


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="images is 1, give at least 2; steps is 0, give at least 2"):
        AuditSettings(images=1, steps=0)


def test_people_to_compare_with_are_drawn_clearly_whatever_the_attacks_steps() -> None:
    assert AuditSettings(steps=2).drawing["steps"] == 10
    assert AuditSettings(steps=40).drawing["steps"] == 40


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"guidance_scale": float("nan")}, "guidance_scale is nan, give a number"),
        ({"images": 100_000_000}, "images is 100000000, give at most 4096"),
        ({"seed": -1}, "seed is -1, give at least 0"),
        ({"others_count": 3}, "others_count is 3, give at least 19: with fewer no p-value reaches 0.05"),
        ({"others": Path("people"), "others_count": 50}, "exclude each other"),
        ({"class_prompt": ""}, "class_prompt is empty"),
        ({"device": "gpu"}, "device is 'gpu', give auto, cpu"),
    ],
)
def test_what_cannot_be_is_refused_with_its_remedy(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        AuditSettings(**changes)
    assert says in str(caught.value)
