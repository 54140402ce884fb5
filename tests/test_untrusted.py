"""What hostile text becomes."""

from loraleak.untrusted import encodable, printable


def test_printable_cuts_long_text_and_keeps_its_ends() -> None:
    shown = printable("start" + "x" * 1000 + "end", 60)
    assert shown.startswith("start")
    assert shown.endswith("end")
    assert "…" in shown
    assert len(shown) <= 60


def test_printable_leaves_nothing_that_a_terminal_obeys() -> None:
    assert printable("Zürich\x1b[2J\x9b\r\n\u202e\u2066\u2028") == r"Zürich\x1b[2J\x9b\r\n\u202e\u2066\u2028"


def test_a_name_that_is_no_utf8_can_be_written() -> None:
    assert encodable("a\udcff.png") == "a?.png"
    assert encodable("Zürich.png") == "Zürich.png"
