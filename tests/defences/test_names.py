from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar, Literal

import pytest

from loraleak.bases import DiffusersBase
from loraleak.defences import DEFENCES, PostHoc, parse_defence, spelled
from loraleak.defences.chain import PostHocChain
from loraleak.defences.finished.scaling import Scaling
from loraleak.errors import UsageError
from loraleak.types import Adapter

_NEEDED = {"decoys": ":people=folder"}
"""Settings without a default."""


@dataclass(frozen=True)
class Third(PostHoc):
    """Stands for a third party's."""

    name: ClassVar[str] = "third"
    says: ClassVar[str] = "Does nothing."
    depth: int = 1
    strength: float = 1.0
    soft: bool = False
    mode: Literal["a", "b"] = "a"
    most: int | None = None

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return adapter


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("third", f"{__name__}:Third", "loraleak.defences")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Third)
    monkeypatch.setattr("loraleak.plugins.entry_points", lambda group: [entry] if group == "loraleak.defences" else [])


@pytest.mark.parametrize("name", sorted(DEFENCES))
def test_every_defence_comes_back_from_how_it_is_spelled(name: str) -> None:
    defence = parse_defence(f"{name}{_NEEDED.get(name, '')}")
    assert defence.name == name
    assert defence.says.endswith((".", ")"))
    assert parse_defence(spelled(defence)) == defence


def test_settings_are_read_by_their_types(third: None) -> None:
    text = "third:depth=3,strength=1e+2,soft=true,mode=b,most=7"
    defence = parse_defence(text)
    assert defence == Third(3, 100.0, True, "b", 7)
    assert parse_defence("third:most=none") == Third()
    assert isinstance(defence, PostHoc)
    assert parse_defence(spelled(defence)) == defence


def test_chains_run_in_order(third: None) -> None:
    chain = parse_defence("third+scaling:factor=0.25")
    assert chain == PostHocChain((Third(), Scaling(0.25)))
    assert parse_defence(spelled(chain)) == chain


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(UsageError, match=r"no defence is called 'magic': choose from .*scaling"):
        parse_defence("magic")


def test_all_faults_come_at_once(third: None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_defence("third:depth=x,colour=red,soft,mode=c,strength=1,strength=2+magic")
    message = str(caught.value)
    for part in (
        "depth is 'x', give a whole number",
        "no setting 'colour': it has depth, strength, soft, mode, most",
        "soft has no value",
        "mode is 'c', give one of a, b",
        "strength is given twice",
        "no defence is called 'magic'",
    ):
        assert part in message
    assert "\n" not in message


def test_a_defences_own_checks_speak() -> None:
    with pytest.raises(UsageError, match="factor is 2"):
        parse_defence("scaling:factor=2")
