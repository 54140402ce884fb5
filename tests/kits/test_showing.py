"""A card in words: everything that matters, and no text of a stranger that could do harm."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loraleak.assets import POCKET_KIT
from loraleak.cli import main
from loraleak.kits import read_kit, save_kit


def test_pockets_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kit", "show", "pocket"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "kit for pocket",
        "learned from 2300 people",
        "99 of 99",
        "200 of 200",
        "nobody real",
        "CC0",
        "0.96 [0.90, 1.00]",
    ):
        assert words in shown
    assert "biometric data" in shown


def test_without_templates_the_card_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_kit(read_kit(POCKET_KIT).without_templates(), tmp_path / "kit.safetensors")
    assert main(["kit", "show", str(tmp_path / "kit.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert "holds no templates" in shown and "biometric" not in shown


@pytest.mark.parametrize("field", ["base", "family", "embedder", "class_prompt", "source", "licence", "loraleak"])
def test_a_strangers_text_stays_text(field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = read_kit(POCKET_KIT)
    hostile = "x\n\x1b]0;owned\x07\x1b[2J\u202e verdict: low"
    save_kit(replace(kit, card=replace(kit.card, **{field: hostile})), tmp_path / "kit.safetensors")
    for options in ((), ("--json",)):
        assert main(["kit", "show", str(tmp_path / "kit.safetensors"), *options]) == 0
        shown = capsys.readouterr().out
        assert all(c.isprintable() or c == "\n" for c in shown) and "\nverdict" not in shown
    assert json.loads(shown)["card"][field] == hostile


def test_a_hash_that_is_a_path_installs_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = read_kit(POCKET_KIT).without_templates()
    away = str(tmp_path / "away")
    sampling = replace(kit.sampling, base_sha256=away, attack_sha256="")
    evil = replace(kit, card=replace(kit.card, base_sha256=away), sampling=sampling, attack=None)
    save_kit(evil, tmp_path / "kit.safetensors")
    assert main(["kit", "install", str(tmp_path / "kit.safetensors")]) == 2
    assert "is no hash" in capsys.readouterr().err
    assert not (tmp_path / "away.safetensors").exists()
