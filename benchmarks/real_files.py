"""Check of LoRA files from the wild: each is inspected, scrubbed, read, written in every layout that can hold it, and read back.

    python benchmarks/real_files.py DIR [--index FILE]

Prints a Markdown table, then the refusals in full. FILE is JSON: a list of `file`, `family` (a title), `scale` and `modules` as the
maker of the files knows them, null where it does not; what we tell otherwise is listed last.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from loraleak.adapters import load_adapter, open_adapter, save_adapter, scrub_header
from loraleak.adapters.write import LAYOUTS
from loraleak.errors import AdapterError, UsageError
from loraleak.families import titles
from loraleak.inspection import Inspection, inspect_adapter
from loraleak.types import Adapter, Factors

_COLUMNS = (
    "file",
    "format",
    "base",
    "scale",
    "modules",
    "residue",
    "rank",
    "critical, high, medium",
    "inspect (s)",
    "scrub",
    *LAYOUTS,
)


@dataclass
class _Said:
    """What is told after the table."""

    refusals: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def refused(self, error: Exception) -> str:
        if str(error) not in self.refusals:
            self.refusals.append(str(error))
        return f"refused ({self.refusals.index(str(error)) + 1})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--index", type=Path)
    asked = parser.parse_args()
    index = {} if asked.index is None else {entry["file"]: entry for entry in json.loads(asked.index.read_text())}
    said = _Said()
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for path in sorted(asked.folder.iterdir()):
        print(f"| {' | '.join(_row(path, index.get(path.name), said))} |", flush=True)
    print("\nThe layouts' columns: the largest relative error of dW after writing and reading back, or why it is refused.\n")
    for number, refusal in enumerate(said.refusals, 1):
        print(f"{number}. {refusal}")
    print(f"\nOtherwise than in the index: {len(said.differences)}", *said.differences, sep="\n")


def _row(path: Path, expected: dict[str, Any] | None, said: _Said) -> list[str]:
    started = time.perf_counter()
    try:
        found = inspect_adapter(path)
    except AdapterError as error:
        return [path.name, said.refused(error), *["–"] * (len(_COLUMNS) - 2)]
    seconds = time.perf_counter() - started
    scales = sorted({round(module.scale, 4) for module in found.modules if module.scale is not None})
    modules = len(open_adapter(path).contents.modules)
    if expected is not None:
        _compare(path.name, found, scales, modules, expected, said)
    counts = Counter(finding.severity for finding in found.findings)
    low, high = found.ranks or (0, 0)
    facts = [
        path.name,
        found.format or "–",
        titles(found.families),
        ", ".join(f"{scale:g}" for scale in scales) or "–",
        str(modules),
        str(len(found.residue)),
        f"{low}" if low == high else f"{low} to {high}",
        ", ".join(str(counts[severity]) for severity in ("critical", "high", "medium")),
        f"{seconds:.1f}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        return [*facts, _scrubbed(path, Path(folder) / "scrubbed", said), *_written(path, Path(folder), said)]


def _compare(name: str, found: Inspection, scales: list[float], modules: int, expected: dict[str, Any], said: _Said) -> None:
    """What the index tells of a file and we tell otherwise."""
    ours = {"family": titles(found.families) if found.families else "", "scale": scales, "modules": modules}
    theirs = {"scale": [] if expected["scale"] is None else [expected["scale"]], "family": expected["family"]}
    if expected["modules"] is not None:
        theirs["modules"] = expected["modules"]
    said.differences += [f"{name}: {key} {ours[key]!r}, not {value!r}" for key, value in theirs.items() if ours[key] != value]


def _scrubbed(path: Path, out: Path, said: _Said) -> str:
    """How many fields the copy is without, or why there is none."""
    try:
        return f"-{len(scrub_header(path, out).removed)}"
    except (AdapterError, UsageError) as error:
        return said.refused(error)


def _written(path: Path, folder: Path, said: _Said) -> list[str]:
    try:
        adapter = load_adapter(path)
    except AdapterError as error:
        return [said.refused(error)] * len(LAYOUTS)
    facts = []
    for layout in LAYOUTS:
        out = folder / (layout if layout == "peft" else f"{layout}.safetensors")
        try:
            save_adapter(adapter, out, layout)
            facts.append(f"{_error(adapter, load_adapter(out)):.1g}")
        except AdapterError as error:
            facts.append(said.refused(error))
    return facts


def _error(first: Adapter, second: Adapter) -> float:
    """The largest error `||dW - dW'|| / ||dW||` of any module. An unknown scale must stay unknown."""
    if first.factors.keys() != second.factors.keys() or first.scale_known != second.scale_known:
        raise SystemExit("modules or scales were lost on the way: this is a fault of ours")
    return max(_module_error(factors, second.factors[name]) for name, factors in first.factors.items())


def _module_error(one: Factors, other: Factors) -> float:
    if one.scale == other.scale and torch.equal(one.up, other.up) and torch.equal(one.down, other.down):
        return 0.0
    whole, back = _dense(one), _dense(other)
    return float((whole - back).norm() / whole.norm())


def _dense(factors: Factors) -> torch.Tensor:
    scale = 1.0 if factors.scale is None else factors.scale
    return scale * factors.up.double().flatten(1) @ factors.down.double().flatten(1)


if __name__ == "__main__":
    main()
