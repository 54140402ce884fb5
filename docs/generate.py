"""Writes the pages that are made from other files: python docs/generate.py

They are the help of every command, the notebooks with what they print and draw, and what stands beside the package.
"""

import contextlib
import io
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

from loraleak.cli.commands import GROUPS, parse

_DOCS = Path(__file__).parent
_BESIDE = ("CHANGELOG", "CONTRIBUTING", "SECURITY")


def write_pages(docs: Path) -> None:
    """Write all of them into a folder that has the other pages."""
    (docs / "commands.md").write_text(_commands(), "utf-8")
    for name in _BESIDE:
        page = (_DOCS.parent / f"{name}.md").read_text("utf-8").replace("(docs/", "(")
        (docs / f"{name.lower()}.md").write_text(page, "utf-8")
    for notebook in sorted((docs / "notebooks").glob("*.ipynb")):
        _write_notebook(notebook)


def _commands() -> str:
    parts = ["# Commands", "The texts below are those of `loraleak COMMAND --help`."]
    for title, commands in GROUPS.items():
        parts.append(f"## {title}")
        for command in commands:
            words = [[command.name], *([command.name, verb] for verb in _verbs(command.kind))]
            parts += [f"### {' '.join(each)}\n\n```text\n{_help(each)}\n```" for each in words]
    return "\n\n".join(parts) + "\n"


def _verbs(kind: type) -> list[str]:
    """Names of the commands below one, such as `build` of `zoo`."""
    below = get_args(get_type_hints(kind, include_extras=True).get("job"))
    return [note.name for one in below for note in getattr(one, "__metadata__", ())]


def _help(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        parse([*words, "--help"])
    return printed.getvalue().strip()


def _write_notebook(file: Path) -> None:
    """Run a notebook, and write it beside itself as a page, with its pictures."""
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=None, startup_timeout=600, resources={"metadata": {"path": str(file.parent)}}).execute()
    for cell in notebook.cells:
        cell.outputs = [output for output in cell.get("outputs", ()) if output.get("name") != "stderr"]
    exporter = MarkdownExporter()
    page, made = exporter.from_notebook_node(notebook, {"unique_key": file.stem, "output_files_dir": f"{file.stem}_files"})
    for name, content in made["outputs"].items():
        picture = file.parent / name
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(content)
    title, rest = page.lstrip().split("\n", 1)
    file.with_suffix(".md").write_text(f"{title}\n\n[Download the notebook]({file.name})\n{rest}", "utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]) if len(sys.argv) > 1 else _DOCS)
