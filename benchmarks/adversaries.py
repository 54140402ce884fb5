"""Adaptive attacks against a control: does training on a defence help, or only longer training?

    python benchmarks/adversaries.py docs/paper.parquet docs/paper-control.parquet

The first file holds the usual attacks, and attacks that were trained on defended adapters. In the second file a control
replaces the latter: an attack that was trained for as long, from the same start, on the same people's undefended adapters.
Differences are paired over victims.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float

from loraleak.bench.paper import ROWS
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean, paired_difference

_Attacks = dict[str, Float[np.ndarray, " victims"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("control", type=Path)
    arguments = parser.parse_args()

    usual, against = (_attacks_by_cell(arguments.rows, adversary) for adversary in ("static", "adaptive"))
    control = _attacks_by_cell(arguments.control, "adaptive")
    print(
        "| photos | defence | usual attack | trained for longer | trained against it | against it - longer | longer - usual |"
    )
    print("|---|---|---|---|---|---|---|")
    for photos, defence in sorted(control):
        named = [attacks[photos, defence] for attacks in (usual, control, against)]
        plain, longer, told = (attacks[_best(attacks)] for attacks in named)
        columns = [f"{in_brackets(bootstrap_mean(attacks[_best(attacks)]))}, {_best(attacks)}" for attacks in named]
        columns += [in_brackets(paired_difference(told, longer)), in_brackets(paired_difference(longer, plain))]
        print(f"| {photos} | `{defence}` | {' | '.join(columns)} |")


def _attacks_by_cell(file: Path, adversary: str) -> dict[tuple[int, str], _Attacks]:
    """Rank-1 of each attack arm over victims in their order, by photos and defence."""
    found: dict[tuple[int, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in pq.read_table(file, schema=ROWS, use_threads=False).to_pylist():
        if row["adversary"] == adversary and row["role"] == "attack":
            found[row["photos"], row["defence"]][row["arm"]][row["victim"]] = row["rank1"]
    return {
        cell: {arm: np.array([by_victim[victim] for victim in sorted(by_victim)]) for arm, by_victim in arms.items()}
        for cell, arms in found.items()
    }


def _best(attacks: _Attacks) -> str:
    return max(attacks, key=lambda arm: float(attacks[arm].mean()))


if __name__ == "__main__":
    main()
