"""`loraleak scrub`: a copy without private metadata."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from loraleak.base_settings import BaseSettings
from loraleak.checks import refuse
from loraleak.errors import UsageError
from loraleak.outputs import check_new, check_work
from loraleak.silence import WEIGHTS_REMAIN
from loraleak.untrusted import printable

if TYPE_CHECKING:
    from loraleak.adapters import Scrubbed

__all__ = ["Scrub"]

_FEW = 4
"""Files that one process is done with before others have started."""
_SHOWN = 8
_MAX_LENGTH = 2**14


@dataclass(frozen=True)
class Scrub:
    """Writes a copy of an adapter without private metadata. Its weights stay the same bits, unless a defence is given."""

    file: Positional[Path]
    """The adapter: a .safetensors file of any layout, a PEFT folder, or a folder, which stands for all of its .safetensors files."""
    out: Annotated[Path | None, arg(aliases=("-o",))] = None
    """The copy: a .safetensors file; a folder for PEFT layout, and for the files of a folder."""
    in_place: bool = False
    """Write over the file itself, and keep the old one as <name>.backup."""
    defence: str | None = None
    """Post-hoc defence with settings, such as `rank-truncation:rank=2`. Several are joined by `+`."""
    keep: tuple[str, ...] = ()
    """Fields of the header, or keys of PEFT's configuration, that stay as they are."""
    set: tuple[str, ...] = ()
    """Values that fields get instead of their own, as FIELD=VALUE: `ss_output_name=mine`."""
    workers: int = 0
    """Processes that scrub the files of a folder; 0 for one a processor."""
    overwrite: bool = False
    """Replace what is there under the name of the copy."""
    json: bool = False
    """Print the changes as JSON on stdout."""
    base: BaseSettings = field(default_factory=lambda: BaseSettings(base=""))
    """Base, for the defences that need it."""

    def __post_init__(self) -> None:
        if (self.out is None) != self.in_place:
            refuse("scrub writes either to -o OUT or over the file itself with --in-place: give one of the two")
        if any(not text.partition("=")[0] or "=" not in text for text in self.set):
            refuse("--set takes FIELD=VALUE, such as ss_output_name=mine")
        if self.set and self.defence is not None:
            refuse("--set works on the header alone: leave --defence away, and scrub its copy again")

    def run(self) -> int:
        from loraleak.adapters import is_one_adapter, locate, scrub_in_place

        if not is_one_adapter(self.file):
            return self._run_in_folder()
        scrubbed_to, defence = self._scrubber()
        if self.out is None:
            done, backup = scrub_in_place(self.file, lambda: scrubbed_to(self.file))
        else:
            file, backup = locate(self.file), None
            if self.out.exists() and file.exists() and self.out.samefile(self.file):
                raise UsageError(f"{self.out} is the file itself: give another name, or --in-place, which keeps a backup")
            check_new(self.out, folder=None, overwrite=self.overwrite, room=file.stat().st_size if file.exists() else 0)
            done = scrubbed_to(self.out)
        facts = _facts(self.out or self.file, backup, defence, done)
        print(json.dumps(facts) if self.json else "\n".join(_lines(facts, done)))
        return 0

    def _run_in_folder(self) -> int:
        """Scrub every file of a folder to the same place in another folder, or over itself."""
        from loraleak.adapters import adapter_paths
        from loraleak.adapters.clean_copy import Copying, scrub_many

        if self.defence is not None:
            raise UsageError("a defence is for one adapter: scrub the folder without --defence, or name one file")
        files = list(adapter_paths([self.file]))
        if not files:
            raise UsageError("it holds no .safetensors file", path=self.file, remedy="name another")
        if self.out is not None and (self.out.is_file() or self.out.resolve().is_relative_to(self.file.resolve())):
            raise UsageError(
                "it must be a folder outside of the one that is scrubbed", path=self.out, remedy="give another name"
            )
        if self.out is not None:
            check_work(self.out)
        replaced = dict(text.split("=", 1) for text in self.set)
        tasks = [
            Copying(
                file, None if self.out is None else self.out / file.relative_to(self.file), self.keep, replaced, self.overwrite
            )
            for file in files
        ]
        unusable = 0
        for task, done in scrub_many(tasks, workers=self.workers or (1 if len(files) < _FEW else os.cpu_count() or 1)):
            if isinstance(done, str):
                unusable += 1
                print(f"loraleak: {printable(' '.join(done.split()), _MAX_LENGTH)}", file=sys.stderr)
            elif self.json:
                print(json.dumps(_facts(task.out or task.file, task.backup, None, done)), flush=True)
            else:
                for line in (f"{task.out or task.file}: removed {len(done.removed)} fields", *_notes(done)):
                    print(printable(line, _MAX_LENGTH))
        print(f"loraleak: {WEIGHTS_REMAIN}", file=sys.stderr)
        print(f"loraleak: {len(files) - unusable} files scrubbed; {unusable} unusable", file=sys.stderr)
        return 2 if unusable else 0

    def _scrubber(self) -> "tuple[Callable[[Path], Scrubbed], str | None]":
        """What writes the copy, and the defence with all of its settings. Models are imported for defences only."""
        if self.defence is None:
            from loraleak.adapters import scrub_header

            replaced = dict(text.split("=", 1) for text in self.set)
            return lambda out: scrub_header(self.file, out, self.keep, replaced), None
        from loraleak.adapters import open_loadable

        open_loadable(self.file)  # before the heavy imports
        from loraleak.bases import load_base
        from loraleak.defences import parse_defence, scrub, spelled

        defence = parse_defence(self.defence)
        if defence.stage != "post-hoc":
            raise UsageError(f"{defence.name} changes fine-tuning, not a finished file: give it to `loraleak finetune`")
        base = load_base(**self.base.choices) if self.base.base else None
        return lambda out: scrub(self.file, out, defence=defence, base=base, keep=self.keep), spelled(defence)


def _facts(out: Path, backup: Path | None, defence: str | None, done: "Scrubbed") -> dict[str, Any]:
    return {
        "schema": "loraleak.scrub/1",
        "out": str(out),
        "backup": None if backup is None else str(backup),
        "defence": defence,
        "weights": "bit-identical" if defence is None else "defended",
        **asdict(done),
    }


def _lines(facts: dict[str, Any], done: "Scrubbed") -> list[str]:
    """Lines for people to read, in which the file's name and its text are made printable."""
    weights = "bit by bit as they were" if facts["defence"] is None else f"changed by {facts['defence']}"
    lines = [f"{facts['out']}: {done.tensors} tensors, {weights}"]
    if facts["backup"]:
        lines.append(f"backup, not to be shared: {facts['backup']}")
    counts = Counter(removed.severity or "that told nothing" for removed in done.removed)
    summary = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    lines.append(f"removed {len(done.removed)} fields{f': {summary}' if summary else ''}")
    for removed in done.removed[:_SHOWN]:
        lines.append(f"  {removed.severity or '-':<10}{printable(removed.field)}")
    if len(done.removed) > _SHOWN:
        lines.append(f"  and {len(done.removed) - _SHOWN} more; --json lists all")
    kept = ", ".join(printable(field, 60) for field in done.kept[:_SHOWN]) or "none"
    lines.append(f"kept {len(done.kept)} fields: {kept}{', ...' if len(done.kept) > _SHOWN else ''}")
    lines += _notes(done)
    lines.append(WEIGHTS_REMAIN)
    return [printable(line, _MAX_LENGTH) for line in lines]


def _notes(done: "Scrubbed") -> list[str]:
    return [f"note: {remark}" for remark in done.remarks]
