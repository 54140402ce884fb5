"""The list of commands: groups, and examples that the parser takes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from loraleak.cli import main
from loraleak.cli.commands import GROUPS, Command, parse

_COMMANDS = [command for commands in GROUPS.values() for command in commands]


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command.name)
def test_every_example_is_in_the_help_and_can_be_parsed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(parse([command.name, *shlex.split(command.example)]), command.kind)
    with pytest.raises(SystemExit):
        main([command.name, "--help"])
    assert f"Example: loraleak {command.name} {command.example}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["zoo", "bench", "kit"])
def test_commands_below_a_command_have_an_example_that_can_be_parsed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = (one for one in _COMMANDS if one.name == command)
    for below in get_args(get_type_hints(found.kind, include_extras=True)["job"]):
        (verb,) = (note.name for note in below.__metadata__)
        with pytest.raises(SystemExit):
            main([command, verb, "--help"])
        (example,) = re.findall(r"Example: (.*(?:\n(?!\n).*)*)", capsys.readouterr().out)
        program, *words = shlex.split(example)
        assert program == "loraleak" and words[:2] == [command, verb]
        assert type(parse(words).job) is get_args(below)[0]


def test_the_help_groups_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for title, commands in GROUPS.items():
        assert f"{title}: {', '.join(command.name for command in commands)}" in printed
    assert "Example:" not in printed and "--version" in printed


def test_shells_can_complete_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--tyro-print-completion", "bash"])
    assert "compare" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", ["audit {} --photos .", "attack {}", "scrub {} --defence gaussian-noise:level=1"])
def test_a_web_page_is_refused_before_anything_heavy_is_loaded(arguments: str, tmp_path: Path) -> None:
    page = tmp_path / "a.safetensors"
    page.write_text("<!doctype html><title>Log in</title>")
    code = "import sys; from loraleak.cli import main; print(main(sys.argv[1:]), *sys.modules)"
    given = [sys.executable, "-c", code, *arguments.format(page).split(), "--out", str(tmp_path / "out")]
    ran = subprocess.run(given, capture_output=True, text=True, check=True)
    assert "it is a web page" in ran.stderr and ran.stdout.startswith("2 ")
    assert "torch" not in ran.stdout.split()


def test_one_command_loads_no_other(tmp_path: Path) -> None:
    code = "import sys; from loraleak.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code, "inspect", str(tmp_path)], capture_output=True, text=True, check=True)
    loaded = ran.stderr.split()
    assert "loraleak.cli.inspect" in loaded
    assert not {"torch", "rich", "loraleak.cli.audit", "loraleak.cli.zoo"} & set(loaded)
