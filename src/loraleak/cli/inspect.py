"""`loraleak inspect`: the facts in a file itself."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from loraleak.errors import AdapterError, UsageError

__all__ = ["Inspect"]


@dataclass(frozen=True)
class Inspect:
    """Prints layout, base, ranks and spectra of files, and what their metadata give away. Needs no base and no photos."""

    file: Positional[tuple[Path, ...]]
    """The adapters: .safetensors files, or PEFT folders."""
    fail_on: Literal["critical", "high", "medium", "never"] = "high"
    """Exit with 1 if the metadata have a finding at or above this level."""
    start: bool = False
    """Also try to rebuild the random start of training from common seeds, which takes half a minute a file."""
    json: bool = False
    """Print JSON (schema loraleak.inspect/1) on stdout, one line a file."""
    sarif: bool = False
    """Print SARIF 2.1.0 on stdout, for code hosts: one log of one run for all files."""

    def __post_init__(self) -> None:
        if not self.file:
            raise UsageError("no file is given: name at least one .safetensors file or PEFT folder")
        if self.json and self.sarif:
            raise UsageError("--json and --sarif both ask for stdout: give one of them")

    def run(self) -> int:
        from rich.console import Console

        from loraleak.inspection import at_or_above, inspect_adapter
        from loraleak.inspection.as_json import as_json
        from loraleak.inspection.as_sarif import as_sarif
        from loraleak.inspection.as_text import as_text

        above = False
        usable, faults = [], []
        for file in self.file:
            try:
                inspection = inspect_adapter(file, start=self.start)
            except AdapterError as fault:
                faults.append(str(fault))
                continue
            above |= at_or_above(inspection.findings, self.fail_on)
            if self.json:
                print(json.dumps(as_json(inspection), allow_nan=False))
            elif self.sarif:
                usable.append((inspection, file))
            else:
                Console(markup=False, emoji=False, highlight=False, soft_wrap=True).print(as_text(inspection))
        if self.sarif:
            print(json.dumps(as_sarif(usable), allow_nan=False))
        if faults:
            raise AdapterError("; ".join(faults))
        return int(above)
