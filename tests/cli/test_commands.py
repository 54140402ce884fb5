"""The list of commands: groups, and examples that the parser takes."""

import shlex

import pytest
import tyro

from loraleak.cli import main
from loraleak.cli.commands import GROUPS, Command, command_type

_COMMANDS = [command for commands in GROUPS.values() for command in commands]


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command.name)
def test_every_example_is_in_the_help_and_can_be_parsed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)
    arguments = [command.name, *shlex.split(command.example)]
    assert isinstance(tyro.cli(command_type(examples=True), args=arguments, config=config), command.kind)
    with pytest.raises(SystemExit):
        main([command.name, "--help"])
    assert f"Example: loraleak {command.name} {command.example}" in capsys.readouterr().out


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
