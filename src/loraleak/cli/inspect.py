"""`loraleak inspect`: the facts in files themselves."""

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from loraleak.checks import refuse
from loraleak.errors import UsageError
from loraleak.outputs import check_work
from loraleak.untrusted import printable

if TYPE_CHECKING:
    from loraleak.inspection import Inspection

__all__ = ["Inspect"]

_FEW = 4
"""Files that one process is done with before others have started."""
_MAX_LENGTH = 2**16


@dataclass(frozen=True)
class Inspect:
    """Prints layout, base, ranks and spectra of files, and what their metadata give away. Needs no base and no photos."""

    file: Positional[tuple[Path, ...]]
    """The adapters: .safetensors files, PEFT folders, or folders, which stand for all of their .safetensors files."""
    fail_on: Literal["critical", "high", "medium", "never"] = "high"
    """Exit with 1 if the metadata of a usable file have a finding at or above this level."""
    start: bool = False
    """Also try to rebuild the random start of training from common seeds, which takes half a minute a file."""
    json: bool = False
    """Print JSON (schema loraleak.inspect/1) on stdout, one line a file, as the files are done."""
    sarif: bool = False
    """Print SARIF 2.1.0 on stdout, for code hosts: one log of one run for all files."""
    workers: int = 0
    """Processes that read the files; 0 for one a processor, where there are many files."""
    cache: Path | None = None
    """Folder that keeps results by the SHA-256 of files, so that a file is inspected once."""

    def __post_init__(self) -> None:
        if not self.file:
            refuse("no file is given: name at least one .safetensors file or folder")
        if self.json and self.sarif:
            refuse("--json and --sarif both ask for stdout: give one of them")
        if self.workers < 0:
            refuse("--workers is a number of processes: give 1 or more, or 0 for one a processor")
        if self.start and self.cache is not None:
            refuse("--start is not kept in a cache: leave one of --start and --cache away")

    def run(self) -> int:
        from loraleak.bulk import one_thread

        if not self.start:
            one_thread()
        from loraleak.adapters import adapter_paths
        from loraleak.inspection.many import Unusable, inspect_many

        files = list(adapter_paths(self.file))
        if not files:
            raise UsageError("the folders hold no .safetensors file: name others")
        if self.cache is not None:
            check_work(self.cache)
        workers = self.workers or (1 if len(files) < _FEW else os.cpu_count() or 1)
        told = _Told(self)
        for file, result in inspect_many(files, workers=workers, cache=self.cache, start=self.start):
            if isinstance(result, Unusable):
                told.unusable(result.says)
            else:
                told.usable(result, file)
        return told.end(many=len(files) > 1)


@dataclass
class _Told:
    """What was said so far, and the exit code that it comes to."""

    asked: Inspect
    counts: Counter[str] = field(default_factory=Counter)
    logged: "list[tuple[Inspection, Path]]" = field(default_factory=list)

    def usable(self, inspection: "Inspection", file: Path) -> None:
        from loraleak.inspection import at_or_above

        self.counts["usable"] += 1
        self.counts["above"] += at_or_above(inspection.findings, self.asked.fail_on)
        if self.asked.json:
            from loraleak.inspection.as_json import as_json

            print(json.dumps(as_json(inspection), allow_nan=False), flush=True)
        elif self.asked.sarif:
            self.logged.append((inspection, file))
        else:
            from loraleak.inspection.as_text import as_text
            from loraleak.progress import PipeConsole

            PipeConsole(markup=False, emoji=False, highlight=False, soft_wrap=True).print(as_text(inspection))

    def unusable(self, says: str) -> None:
        self.counts["unusable"] += 1
        print(f"loraleak: {printable(' '.join(says.split()), _MAX_LENGTH)}", file=sys.stderr)

    def end(self, *, many: bool) -> int:
        if self.asked.sarif:
            from loraleak.inspection.as_sarif import as_sarif

            print(json.dumps(as_sarif(self.logged), allow_nan=False))
        usable, above, unusable = (self.counts[name] for name in ("usable", "above", "unusable"))
        if many:
            gate = "" if self.asked.fail_on == "never" else f", {above} of them with a finding at or above {self.asked.fail_on}"
            print(f"loraleak: {usable} files inspected{gate}; {unusable} unusable", file=sys.stderr)
        if unusable:
            return 4 if above else 2
        return int(above > 0)
