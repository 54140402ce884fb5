"""Kits that are installed, by the names of their bases."""

from pathlib import Path

from loraleak.assets import POCKET_KIT
from loraleak.kits import bases_with_kits, install
from loraleak.kits.installed import installed_file


def test_the_bases_of_installed_kits_are_named(tmp_path: Path) -> None:
    assert bases_with_kits() == ()
    install("pocket")
    assert bases_with_kits() == ("pocket",)
    installed_file("0" * 64).write_bytes(POCKET_KIT.read_bytes()[:1000])
    installed_file("1" * 64).write_bytes(b"\x80\x04}.")
    assert bases_with_kits() == ("pocket",)
