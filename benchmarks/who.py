"""Does `attack --who` tell files of one person from files of styles and things? Rates, intervals and cost on pocket.

    python benchmarks/who.py work            # 20 files of people, 20 of styles and things; goes on where it was stopped

The null is of other files of styles and things: those of `loraleak pocket build`, trained here where they are missing.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from loraleak.adapters import load_adapter
from loraleak.auditing import AttackSettings
from loraleak.auditing.scene import scene_of
from loraleak.auditing.who import NobodyFiles, Who, who_of
from loraleak.bases import load_base
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases
from loraleak.bench.runs import fine_tuned
from loraleak.embedders import load_embedder
from loraleak.pocket.who_null import build_who_null, nobody_files, subjects
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for files and answers")
    parser.add_argument("--files", type=int, default=20, help="files of people, and as many of styles and things")
    parser.add_argument("--null", type=int, default=19, help="files of the null")
    arguments = parser.parse_args()
    work = arguments.work
    base, embedder, settings = load_base("pocket", device="cpu"), load_embedder("pocket"), AttackSettings()
    kept = work / f"null-{arguments.null}.json"
    if not kept.exists():
        build_who_null(base, embedder, work / "null", count=arguments.null).write(kept)
    null = NobodyFiles.read(kept).more_alike
    groups = {
        "one person": fine_tuned(
            base, draw_cases("victims", arguments.files, seed=VICTIM_SEED), CaseSettings(), work / "people"
        ).values(),
        "styles and things": nobody_files(base, subjects(arguments.files, seed=9_000), work / "nobody"),
    }
    print("| files of | files | p ≤ .05 | mean likeness over the base's | seconds a file |\n|---|---|---|---|---|")
    for name, files in groups.items():
        start = time.process_time()
        asked = [who_of(scene_of(load_adapter(file), base, settings), embedder, settings) for file in files]
        cost = (time.process_time() - start) / len(files)
        answers = [Who(answer.file, answer.base, null) for answer in asked]
        hints = np.array([float((answer.p_value or 1.0) <= 0.05) for answer in answers])
        likeness = np.array([answer.more_alike for answer in answers])
        means = f"{in_brackets(bootstrap_mean(hints))} | {in_brackets(bootstrap_mean(likeness))}"
        print(f"| {name} | {len(files)} | {means} | {cost:.1f} |", flush=True)


if __name__ == "__main__":
    main()
