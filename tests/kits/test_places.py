"""Where kits are found: a file, the hub, the base's hash, the package."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from loraleak.assets import POCKET_KIT
from loraleak.bases import DiffusersBase, load_base
from loraleak.errors import BaseMismatchError, UsageError
from loraleak.kits import Kit, attack_for, controls_for, install, kit_for, located, read_kit, save_kit


@pytest.fixture
def of_tiny(base: DiffusersBase) -> Kit:
    """A kit without an attack, for the tests' pipeline."""
    pocket = read_kit(POCKET_KIT)
    assert pocket.controls is not None
    sampling = replace(pocket.sampling, base_sha256=base.sha256, attack_sha256="")
    card = replace(pocket.card, base="tiny", base_sha256=base.sha256)
    controls = replace(pocket.controls, sampling=sampling)
    return Kit(card, sampling, controls=controls)


def test_an_installed_kit_is_found_by_the_hash_of_the_base_and_by_no_other(
    base: DiffusersBase, of_tiny: Kit, tmp_path: Path
) -> None:
    assert kit_for(base) is None and attack_for(base) is None
    save_kit(of_tiny, tmp_path / "kit.safetensors")
    kit, file = install(str(tmp_path / "kit.safetensors"))
    assert file.name == f"{base.sha256}.safetensors" and kit.card == of_tiny.card
    found = kit_for(base)
    assert found is not None and found.card.base == "tiny"
    assert controls_for(of_tiny.sampling) is not None
    pocket = kit_for(load_base("pocket", device="cpu"))
    assert pocket is not None and pocket.card.base == "pocket"


def test_pockets_kit_ships_and_an_installed_one_takes_its_place(tmp_path: Path) -> None:
    pocket = load_base("pocket", device="cpu")
    assert located("pocket") == POCKET_KIT
    mine = read_kit(POCKET_KIT)
    save_kit(replace(mine, card=replace(mine.card, source="mine")), tmp_path / "kit.safetensors")
    install(str(tmp_path / "kit.safetensors"))
    found = kit_for(pocket)
    assert found is not None and found.card.source == "mine"


def test_an_attack_is_taken_from_a_kits_file(tmp_path: Path) -> None:
    pocket = load_base("pocket", device="cpu")
    shutil.copy(POCKET_KIT, tmp_path / "kit.safetensors")
    one, other = attack_for(pocket), attack_for(pocket, tmp_path / "kit.safetensors")
    assert one is not None and other is not None and one.sha256 == other.sha256


def test_a_kits_attack_does_not_read_a_base_of_other_shapes(base: DiffusersBase) -> None:
    with pytest.raises(BaseMismatchError, match="take an attack of the same family"):
        attack_for(base, kit=read_kit(POCKET_KIT))


def test_what_cannot_be_found_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: DiffusersBase) -> None:
    with pytest.raises(UsageError, match="no such file"):
        kit_for(base, str(tmp_path / "kit.safetensors"))

    def nothing(repository: str, file: str) -> str:
        raise OSError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", nothing)
    with pytest.raises(UsageError, match=r"no kit was fetched \(no network\): give a file, or a hub id"):
        kit_for(base, "somebody/kit")


def test_a_kit_comes_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *given: asked.append(given) or str(POCKET_KIT))
    assert located("somebody/kit") == POCKET_KIT and asked == [("somebody/kit", "kit.safetensors")]
