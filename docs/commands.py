"""Writes the help of every command into commands.md while the site is built."""

import contextlib
import io
from typing import Any

from loraleak.cli.commands import GROUPS, parse

_PLACE = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark by a heading for each group, and the help of each command."""
    if _PLACE not in markdown:
        return markdown
    parts = []
    for title, commands in GROUPS.items():
        parts.append(f"## {title}")
        parts += [f"### {command.name}\n\n```text\n{_help(command.name)}\n```" for command in commands]
    return markdown.replace(_PLACE, "\n\n".join(parts))


def _help(name: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        parse([name, "--help"])
    return printed.getvalue().strip()
