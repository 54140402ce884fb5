"""Progress goes to stderr and does not touch what is iterated."""

import pytest

from loraleak import progress
from loraleak.progress import announce, heard_by, progress_bar, track


def test_track_yields_everything_in_order_and_prints_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert said.out == ""
    assert "letters: 3 of 3" in said.err


def test_a_hidden_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(hidden=True) as bar:
        bar.advance(bar.add_task("secret", total=1, figures=""))
    assert capsys.readouterr() == ("", "")


def test_an_error_in_the_loop_comes_through() -> None:
    with pytest.raises(KeyError):
        for _ in track([1], "x"):
            raise KeyError


def test_without_a_terminal_a_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(track(range(3), "work", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == "loraleak: work: 3 of 3 in 0:00:00\n"
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    with progress_bar() as bar:
        task = bar.add_task("fine-tuning", total=4, figures="")
        for step in range(4):
            bar.update(task, advance=1, figures=f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and lines[1].startswith("loraleak: fine-tuning: 2 of 4") and lines[1].endswith("loss 1")
    with progress_bar(hidden=True) as bar:
        bar.update(bar.add_task("x", total=1, figures=""), advance=1)
    assert capsys.readouterr().err == ""


def test_a_listener_hears_of_progress_in_the_place_of_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, float | None]] = []
    with heard_by(lambda says, share: heard.append((says, share))):
        announce("this run takes 2 min")
        assert list(track(["a", "b"], "sampling", 2)) == ["a", "b"]
        list(track(["c"], "in silence", 1, hidden=True))
    assert heard[0] == ("this run takes 2 min", None)
    assert [share for _, share in heard[1:]] == [0.5, 1.0] and heard[-1][0].startswith("sampling: 2 of 2")
    assert capsys.readouterr().err == ""
    announce("heard by nobody")
    assert len(heard) == 3 and "heard by nobody" in capsys.readouterr().err
