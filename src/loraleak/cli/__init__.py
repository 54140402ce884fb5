"""The command line: one file a verb, each a frozen dataclass with a `run` that returns the exit code."""

from loraleak.cli.main import main

__all__ = ["main"]
