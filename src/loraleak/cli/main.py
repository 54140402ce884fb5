"""The entry point: it parses, runs, and turns errors into one line and an exit code."""

import os
import sys
import traceback
from io import TextIOWrapper
from typing import Annotated

import tyro

from loraleak.cli.attack import Attack
from loraleak.cli.audit import Audit
from loraleak.cli.bench import Bench
from loraleak.cli.demo import Demo
from loraleak.cli.finetune import Finetune
from loraleak.cli.inspect import Inspect
from loraleak.cli.people import People
from loraleak.cli.pocket import Pocket
from loraleak.cli.scrub import Scrub
from loraleak.cli.train import Train
from loraleak.cli.zoo import Zoo
from loraleak.errors import LoraleakError
from loraleak.untrusted import printable

__all__ = ["main"]

Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Audit, tyro.conf.subcommand("audit")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Scrub, tyro.conf.subcommand("scrub")]
    | Annotated[Finetune, tyro.conf.subcommand("finetune")]
    | Annotated[People, tyro.conf.subcommand("people")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Zoo, tyro.conf.subcommand("zoo")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Attack, tyro.conf.subcommand("attack")]
    | Annotated[Pocket, tyro.conf.subcommand("pocket")]
)

_QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
"""Variables that silence the libraries, because we print progress and results. Users who want their messages set these."""

_MAX_LENGTH = 2**16


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and give its exit code.

    0: done; 1: a finding at or above the gate; 2: unusable input or arguments; 3: internal failure.
    """
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # terminals that are not UTF-8 get text from files too
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        from loraleak.version import __version__

        print(f"loraleak {__version__}")
        return 0
    try:
        command = tyro.cli(
            Command,
            prog="loraleak",
            description="See what your LoRA gives away, before you share it. `loraleak --version` prints the version.",
            args=given,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
        )
        return int(command.run())
    except LoraleakError as error:
        print(f"loraleak: {printable(' '.join(str(error).split()), _MAX_LENGTH)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loraleak: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001
        for line in traceback.format_exc().splitlines():
            print(f"  {printable(line, _MAX_LENGTH)}", file=sys.stderr)
        print("loraleak: internal failure; please report the lines above", file=sys.stderr)
        return 3
