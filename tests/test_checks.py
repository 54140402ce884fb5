"""Faults of settings are told all at once, whichever part of a command has them."""

from dataclasses import dataclass

import pytest

from loraleak.checks import ABOVE_0, all_at_once, out_of_bounds, refuse
from loraleak.cli import main
from loraleak.errors import UsageError


@dataclass(frozen=True)
class _Settings:
    rate: float = 1.0
    sizes: tuple[int, ...] = (1,)
    step: int | None = None


_BOUNDS = {"rate": (ABOVE_0, 10), "sizes": (1, 5), "step": (0, 9)}


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (_Settings(), []),
        (_Settings(rate=0.0), ["rate is 0.0, it must be above 0"]),
        (_Settings(rate=float("nan")), ["rate is nan, give a number"]),
        (_Settings(rate=float("inf")), ["rate is inf, give a number"]),
        (
            _Settings(rate=11, sizes=(0, 3, 6)),
            ["rate is 11, give at most 10", "sizes is 0, give at least 1", "sizes is 6, give at most 5"],
        ),
        (_Settings(step=10), ["step is 10, give at most 9"]),
    ],
)
def test_bounds(settings: _Settings, faults: list[str]) -> None:
    assert out_of_bounds(settings, _BOUNDS) == faults


def test_faults_are_raised_at_once_or_kept_to_the_end() -> None:
    refuse()
    with pytest.raises(UsageError, match=r"^one$"):
        refuse("one")
    with pytest.raises(UsageError) as caught, all_at_once():
        refuse("one")
        refuse("two", "three")
    assert caught.value.faults == ("one", "two", "three")
    with pytest.raises(UsageError, match=r"^one$"):
        refuse("one")


@pytest.mark.parametrize(
    ("command", "faults"),
    [
        (
            "finetune photos --learning-rate inf --rank 0 --dtype float16 --base /no/such/folder",
            ["learning_rate is inf", "rank is 0", "vanish in float16", "no such folder, /no/such/folder"],
        ),
        ("audit x --photos y --guidance-scale nan --images 100000000", ["guidance_scale is nan", "images is 100000000"]),
        ("attack x --steps 1 --seed -1", ["steps is 1", "seed is -1"]),
        ("people x --count 0 --size 5000", ["count is 0", "size is 5000"]),
        ("zoo build x --together -1 --prior-share 2", ["together is -1", "prior_share is 2.0"]),
        ("train x --people y --beta nan --together 0", ["beta is nan", "together is 0"]),
        ("bench arms --victims 1 --guidance-scale nan", ["victims is 1", "guidance_scale is nan"]),
        ("finetune photos --save-every 300 --steps 200", ["save_every is 300"]),
        ("demo --seed -1", ["seed is -1"]),
        ("inspect x --json --sarif", ["give one of them"]),
    ],
)
def test_commands_refuse_before_they_start(command: str, faults: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert captured.out == "" and all(fault in line for fault in faults)
