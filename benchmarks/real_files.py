"""Check of LoRA files from the wild: each is inspected, read, written in every layout that can hold it, and read back.

python benchmarks/real_files.py DIR   prints a Markdown table, then the refusals in full
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from loraleak.adapters import load_adapter, save_adapter
from loraleak.adapters.write import LAYOUTS
from loraleak.errors import AdapterError
from loraleak.families import titles
from loraleak.inspection import inspect_adapter
from loraleak.types import Adapter, Factors

_COLUMNS = ("file", "format", "base", "modules", "rank", "critical, high, medium", "inspect (s)", *LAYOUTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    refusals: list[str] = []
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for path in sorted(parser.parse_args().folder.iterdir()):
        print(f"| {' | '.join(_row(path, refusals))} |", flush=True)
    print("\nThe layouts' columns: the largest relative error of dW after writing and reading back, or why it is refused.\n")
    for number, refusal in enumerate(refusals, 1):
        print(f"{number}. {refusal}")


def _row(path: Path, refusals: list[str]) -> list[str]:
    started = time.perf_counter()
    try:
        found = inspect_adapter(path)
        seconds = time.perf_counter() - started
        adapter = load_adapter(path)
    except AdapterError as error:
        return [path.name, _refused(error, refusals), *["–"] * (len(_COLUMNS) - 2)]
    counts = Counter(finding.severity for finding in found.findings)
    low, high = found.ranks
    facts = [
        path.name,
        found.format,
        titles(found.families),
        str(len(found.modules)),
        f"{low}" if low == high else f"{low} to {high}",
        ", ".join(str(counts[severity]) for severity in ("critical", "high", "medium")),
        f"{seconds:.1f}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            out = Path(folder) / (layout if layout == "peft" else f"{layout}.safetensors")
            try:
                save_adapter(adapter, out, layout)
                facts.append(f"{_error(adapter, load_adapter(out)):.1g}")
            except AdapterError as error:
                facts.append(_refused(error, refusals))
    return facts


def _refused(error: AdapterError, refusals: list[str]) -> str:
    if str(error) not in refusals:
        refusals.append(str(error))
    return f"refused ({refusals.index(str(error)) + 1})"


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
