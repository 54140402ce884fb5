"""What third parties add is found by name, never hides ours, and fails in one line."""

from importlib.metadata import EntryPoint

import pytest

from loraleak.arms import Arm, select_arms
from loraleak.errors import UsageError
from loraleak.plugins import third_party


class Third(Arm):
    """Stands for a third party's arm."""

    name, role, says, control = "third", "attack", "Nobody.", None


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    added = [EntryPoint(name, f"{__name__}:Third", "loraleak.arms") for name in ("third", "lora-class", "matching-updates")]
    monkeypatch.setattr(EntryPoint, "load", lambda self: Third)
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: added if group == "loraleak.arms" else [])


def test_a_third_partys_is_found_and_does_not_hide_ours(registered: None) -> None:
    assert third_party("loraleak.arms", ("lora-class", "matching-updates")) == {"third": Third}
    assert third_party("loraleak.embedders") == {}
    (third,) = select_arms(("third",))
    assert isinstance(third, Third) and third.needs == frozenset()
    assert not any(isinstance(arm, Third) for arm in select_arms(("lora-class", "matching-updates")))


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("mine", "no_such_package:Mine", "loraleak.arms")
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: [broken])
    with pytest.raises(
        UsageError, match=r"mine of the group loraleak.arms cannot be loaded from no_such_package:Mine .*uninstall"
    ):
        third_party("loraleak.arms")
