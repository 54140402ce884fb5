"""Sensitivity of audits of one base: how many files that give a person away did audits like this one find?

The table is measured once for a base, on people whom nothing else has seen (`benchmarks/sensitivity.py`), and ships with it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loraleak.assets import POCKET_SENSITIVITY
from loraleak.auditing.nulls.controls import SamplingSetup
from loraleak.files import write_json

__all__ = ["Row", "Table", "least_that_decides", "load_table", "row_for", "save_table"]


@dataclass(frozen=True)
class Row:
    """Audits with equal settings of files that are known to give their person away."""

    images: int
    """Pictures of each arm."""
    steps: int
    """Sampler steps."""
    photos: int
    """Photos that the owner gave."""
    files: int
    review: int
    """Files that were found at the level `review` or graver."""
    high: int
    """Files that were found at the level `high`."""
    file: str = "usual"
    """Kind of files: `usual` for the default recipe, else what is different, such as `60 steps` or `gaussian-noise:level=2`."""

    @property
    def miss_rate(self) -> float:
        """Share of the files that were not found."""
        return 1 - self.review / self.files


@dataclass(frozen=True)
class Table:
    """The rows of one base, and the sampling that they hold for, but for its number of steps."""

    sampling: SamplingSetup
    attacks: tuple[str, ...]
    rows: tuple[Row, ...]


def load_table(sampling: SamplingSetup, attacks: Sequence[str], file: Path = POCKET_SENSITIVITY) -> Table | None:
    """The table in the file, if it holds for this sampling and these attacks; else None."""
    if not file.exists():
        return None
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    table = Table(SamplingSetup(**held["sampling"]), tuple(held["attacks"]), tuple(Row(**row) for row in held["rows"]))
    same = replace(table.sampling, steps=sampling.steps) == sampling and set(table.attacks) == set(attacks)
    return table if same else None


def save_table(table: Table, file: Path) -> None:
    """Write the table as JSON."""
    rows = [asdict(row) for row in table.rows]
    write_json(file, {"sampling": asdict(table.sampling), "attacks": list(table.attacks), "rows": rows})


def row_for(table: Table, *, images: int, steps: int, photos: int) -> Row | None:
    """The row of usual files that is nearest to an audit and has no more of anything, so that the audit finds as many; None where
    every row has more pictures, steps or photos."""
    below = [
        row
        for row in table.rows
        if row.file == "usual" and row.images <= images and row.steps <= steps and row.photos <= photos
    ]
    return max(below, key=lambda row: (row.images * row.steps, row.photos), default=None)


def least_that_decides(table: Table, *, steps: int, photos: int, max_miss_rate: float) -> Row | None:
    """The row of usual files with the fewest pictures that misses no more than this share, at no more steps and photos; at more
    steps where there is none; None where no row is good enough."""
    good = [row for row in table.rows if row.file == "usual" and row.miss_rate <= max_miss_rate and row.photos <= photos]
    return min(good, key=lambda row: (row.steps > steps, row.images, row.steps, -row.photos), default=None)
