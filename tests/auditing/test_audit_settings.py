"""An audit's settings are checked before anything is loaded."""

import pytest

from loraleak.auditing.audit_settings import AuditSettings
from loraleak.errors import UsageError


def test_the_least_that_can_be_scored_is_two_of_each() -> None:
    assert AuditSettings(images=2, steps=2).images == 2


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="images is 1 and steps is 0: give at least 2"):
        AuditSettings(images=1, steps=0)


def test_people_to_compare_with_are_drawn_clearly_whatever_the_attacks_steps() -> None:
    assert AuditSettings(steps=2).drawing["steps"] == 10
    assert AuditSettings(steps=40).drawing["steps"] == 40
