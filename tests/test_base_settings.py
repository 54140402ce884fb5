"""What every command says about its base."""

from pathlib import Path

import pytest

from loraleak.base_settings import BaseSettings
from loraleak.bench.bench_settings import ArmsBench
from loraleak.errors import UsageError


def test_choices_are_arguments_of_load_base_whatever_a_command_adds() -> None:
    choices = BaseSettings("sd", dtype="bfloat16", resolution=64).choices
    assert choices["name"] == "sd" and choices["dtype"] == "bfloat16" and choices["config"] is None
    assert ArmsBench(base="sd", dtype="bfloat16", resolution=64, victims=3).choices == choices


def test_other_processes_find_what_lies_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "config", "pocket"):
        (tmp_path / name).mkdir()
    there = BaseSettings("mine", base_config="config", resolution=64).resolved()
    assert there == BaseSettings(str(tmp_path / "mine"), base_config=str(tmp_path / "config"), resolution=64)
    assert BaseSettings("pocket").resolved() == BaseSettings("pocket")  # the embedded one, whatever is called so here
    assert BaseSettings("someone/sd").resolved().base == "someone/sd"


def test_a_resolution_of_none_is_refused_by_every_command() -> None:
    for settings in (BaseSettings, ArmsBench):
        with pytest.raises(UsageError, match="resolution is 0"):
            settings(resolution=0)


@pytest.mark.parametrize("base", ["/no/such/folder", "./nothing", "../a/b/c", "~nobody-here/sd", "a/b/c"])
def test_a_folder_that_is_not_there_is_told_as_such(base: str) -> None:
    with pytest.raises(UsageError, match=f"no such folder, {base}"):
        BaseSettings(base)


def test_a_home_that_the_shell_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sd").mkdir()
    assert BaseSettings("~/sd").base == str(tmp_path / "sd")


def test_a_file_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(UsageError, match=r"no such file, sd\.safetensors"):
        BaseSettings("sd.safetensors")
