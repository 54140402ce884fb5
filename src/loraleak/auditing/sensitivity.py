"""Sensitivity of audits of one base: how many files that give a person away did audits like this one find?

The table is measured once for a base, on people whom nothing else has seen, and is in its kit: `loraleak kit build` makes one row,
`benchmarks/sensitivity.py` more of them for pocket.
"""

from collections.abc import Sequence
from dataclasses import replace

from loraleak.kits import Kit, Row, SamplingSetup, Table

__all__ = ["least_that_decides", "row_for", "table_for"]


def table_for(kit: Kit | None, sampling: SamplingSetup, attacks: Sequence[str]) -> Table | None:
    """The kit's table, if it holds for this sampling and these attacks; else None."""
    table = None if kit is None else kit.sensitivity
    if table is None:
        return None
    same = replace(table.sampling, steps=sampling.steps) == sampling and set(table.attacks) == set(attacks)
    return table if same else None


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
