"""An inspection as JSON, under a versioned schema."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from loraleak.inspection.inspect import Inspection, ModuleFacts
from loraleak.version import __version__

__all__ = ["SCHEMA", "as_json"]

SCHEMA = "loraleak.inspect/1"


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Plain values only; hostile text in it is escaped, and cut."""
    ranks = inspection.ranks
    counts = Counter(finding.severity for finding in inspection.findings)
    return {
        "schema": SCHEMA,
        "loraleak": __version__,
        "file": {"path": inspection.path, "bytes": inspection.bytes, "sha256": inspection.sha256},
        "format": inspection.format,
        "family": inspection.family or None,
        "families": list(inspection.families),
        "rank": None if ranks is None else {"min": ranks[0], "max": ranks[1]},
        "scale_known": all(module.alpha is not None for module in inspection.modules),
        "modules": [_module(module) for module in inspection.modules],
        "residue": list(inspection.residue),
        "remarks": list(inspection.remarks),
        "metadata": [asdict(finding) for finding in inspection.findings],
        "counts": {severity: counts[severity] for severity in ("critical", "high", "medium")},
    }


def _module(module: ModuleFacts) -> dict[str, Any]:
    return {
        "name": module.name,
        "layout": module.layout,
        "shape": list(module.shape),
        "rank": module.rank,
        "alpha": module.alpha,
        "scale": module.scale,
        "scale_from": module.scale_from,
        "dora": module.has_magnitude,
        "norm": None if module.norm is None else _short(module.norm),
        "spectrum": None if module.spectrum is None else _all_short(module.spectrum),
    }


def _short(value: float) -> float:
    """Six digits, which is what float32 factors carry."""
    return float(f"{value:.6g}")


def _all_short(values: tuple[float, ...]) -> list[float]:
    """As `_short`, for many numbers."""
    numbers = np.array(values)
    exponents = np.floor(np.log10(np.where(numbers > 0, numbers, 1.0)))
    if np.abs(exponents).max(initial=0) > 16:
        return [_short(value) for value in values]
    up, down = 10.0 ** np.maximum(5 - exponents, 0), 10.0 ** np.maximum(exponents - 5, 0)
    rounded: list[float] = (np.round(numbers * up / down) * down / up).tolist()
    return rounded
