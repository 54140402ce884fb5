"""Progress goes to stderr and does not touch what is iterated."""

import pytest

from loraleak.progress import progress_bar, track


def test_track_yields_everything_in_order_and_prints_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert said.out == ""
    assert "letters" in said.err and "3/3" in said.err


def test_a_hidden_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(hidden=True) as bar:
        bar.advance(bar.add_task("secret", total=1, figures=""))
    assert capsys.readouterr() == ("", "")


def test_an_error_in_the_loop_comes_through() -> None:
    with pytest.raises(KeyError):
        for _ in track([1], "x"):
            raise KeyError
