"""All commands, in the groups of `loraleak --help`, each with an example."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union

import tyro

from loraleak.cli.attack import Attack
from loraleak.cli.audit import Audit
from loraleak.cli.bench import Bench
from loraleak.cli.compare import Compare
from loraleak.cli.demo import Demo
from loraleak.cli.finetune import Finetune
from loraleak.cli.inspect import Inspect
from loraleak.cli.kit import Kit
from loraleak.cli.people import People
from loraleak.cli.pocket import Pocket
from loraleak.cli.scrub import Scrub
from loraleak.cli.train import Train
from loraleak.cli.ui import Ui
from loraleak.cli.zoo import Zoo

__all__ = ["GROUPS", "Command", "command_type", "overview"]


@dataclass(frozen=True)
class Command:
    """One command."""

    kind: type
    """Dataclass of its arguments, with a method `run`."""
    example: str
    """Arguments that show what it is for."""

    @property
    def name(self) -> str:
        return self.kind.__name__.lower()


GROUPS: Mapping[str, tuple[Command, ...]] = {
    "Use": (
        Command(Demo, "-o demo"),
        Command(Audit, "my-lora.safetensors --photos my-photos --base pocket --prompt 'a photo of zqkv person'"),
        Command(Inspect, "my-lora.safetensors"),
        Command(Compare, "report report-defended -o compare.html"),
        Command(Ui, "--port 7860"),
    ),
    "Protect": (
        Command(Scrub, "my-lora.safetensors -o clean.safetensors"),
        Command(Finetune, "my-photos -o my-lora.safetensors --trigger zqkv"),
    ),
    "Research": (
        Command(Attack, "my-lora.safetensors -o pictures"),
        Command(Train, "zoo --people people -o attack.safetensors"),
        Command(Zoo, "build people -o zoo"),
        Command(Bench, "arms --victims 10 --work bench"),
    ),
    "Build": (
        Command(People, "people --count 100 --split public"),
        Command(Kit, "show pocket"),
        Command(Pocket, "show"),
    ),
}


def overview() -> str:
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


def command_type(*, examples: bool) -> Any:
    """The type that the parser reads: one of all commands. `examples` adds an example to each description."""
    kinds = []
    for command in (command for commands in GROUPS.values() for command in commands):
        example = f"\n\nExample: loraleak {command.name} {command.example}" if examples else ""
        about = tyro.conf.subcommand(command.name, description=f"{inspect.getdoc(command.kind)}{example}")
        kinds.append(Annotated[command.kind, about])
    return Union[tuple(kinds)]  # noqa: UP007
