"""All commands, in the groups of `loraleak --help`, each with an example."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

__all__ = ["GROUPS", "Command", "parse"]

_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)


@dataclass(frozen=True)
class Command:
    """One command. Its module has its name, and is loaded when its arguments are asked for."""

    name: str
    example: str
    """Arguments that show what it is for."""

    @property
    def kind(self) -> type:
        """Dataclass of its arguments, with a method `run`."""
        found: type = getattr(import_module(f"loraleak.cli.{self.name}"), self.name.capitalize())
        return found


GROUPS: Mapping[str, tuple[Command, ...]] = {
    "Use": (
        Command("demo", "-o demo"),
        Command("audit", "my-lora.safetensors --photos my-photos --base pocket --prompt 'a photo of zqkv person'"),
        Command("inspect", "my-lora.safetensors"),
        Command("compare", "report report-defended -o compare.html"),
        Command("ui", "--port 7860"),
    ),
    "Protect": (
        Command("scrub", "my-lora.safetensors -o clean.safetensors"),
        Command("page", "-o index.html"),
        Command("finetune", "my-photos -o my-lora.safetensors --trigger zqkv"),
        Command("decoys", "decoys --count 12 --images 10"),
    ),
    "Research": (
        Command("attack", "my-lora.safetensors -o pictures"),
        Command("train", "zoo --people people -o attack.safetensors"),
        Command("zoo", "build people -o zoo"),
        Command("bench", "arms --victims 10 --work bench"),
    ),
    "Build": (
        Command("people", "people --count 100 --split public"),
        Command("kit", "show pocket"),
        Command("pocket", "show"),
    ),
}


def _overview() -> str:
    """The description in `loraleak --help`: one paragraph for each group."""
    groups = (f"{title}: {', '.join(command.name for command in commands)}" for title, commands in GROUPS.items())
    return "\n\n".join(
        (
            "See what your LoRA gives away, before you share it.",
            *groups,
            "`loraleak COMMAND --help` explains a command and shows an example. `loraleak --version` prints the version. "
            "`loraleak --tyro-print-completion bash` (or zsh, tcsh) prints a script that completes commands in a shell.",
        )
    )


def parse(given: list[str]) -> Any:
    """The command of a command line. Where the first word names one, only its module is loaded, and its help has an example.

    Raises: SystemExit, after help and after faults, which are printed.
    """
    known = {command.name: command for commands in GROUPS.values() for command in commands}
    if given and given[0] in known:
        command = known[given[0]]
        about = f"{inspect.getdoc(command.kind)}\n\nExample: loraleak {command.name} {command.example}"
        return tyro.cli(command.kind, prog=f"loraleak {command.name}", description=about, args=given[1:], config=_CONFIG)
    kinds = [Annotated[command.kind, tyro.conf.subcommand(name)] for name, command in known.items()]
    one_of_all: Any = Union[tuple(kinds)]  # noqa: UP007
    return tyro.cli(one_of_all, prog="loraleak", description=_overview(), args=given, config=_CONFIG)
