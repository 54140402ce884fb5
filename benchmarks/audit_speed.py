"""Audits against those of an earlier version, as ratios in one run: seconds, seconds to the first picture, memory.

    git worktree add --detach ../landed 7c1faa1
    python benchmarks/audit_speed.py ../landed/src --repeats 3

Each audit of the demo's file is the command line in a process of its own, in turns with the others. Seconds of the processor depend
less on what else the machine does than those of a clock; both are printed, as medians.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from loraleak.assets import DEMO

_CHILD = """
import json, resource, sys, time
from loraleak.cli.main import main
from loraleak.progress import heard_by
began, firsts, forecast = float(sys.argv[1]), [], []
def listen(says, share):
    if says.startswith("this run takes"):
        forecast.append(says)
    if says.startswith("sampling: ") and share and not firsts:
        firsts.extend((time.time() - began, time.process_time()))
with heard_by(listen):
    code = main(sys.argv[2:])
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "forecast": forecast[0], "first": firsts[0], "first_cpu": firsts[1], "seconds": time.time() - began,
                  "cpu": time.process_time(), "memory": usage.ru_maxrss * 1024}))
"""


@dataclass(frozen=True)
class Way:
    """One way of auditing."""

    says: str
    source: Path
    flags: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("landed", type=Path, help="src folder of the earlier version")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="sampler steps of the new audits; the default ones if none are given")
    arguments = parser.parse_args()
    here = Path(__file__).parents[1] / "src"
    steps = ("--steps", str(arguments.steps)) if arguments.steps else ()
    ways = (
        Way("landed", arguments.landed),
        Way("the same sampling", here, ("--steps", "20")),
        Way("default", here, steps),
        Way("until decided", here, (*steps, "--until-decided")),
    )
    taken: dict[str, list[Mapping[str, Any]]] = {way.says: [] for way in ways}
    for _ in range(arguments.repeats):
        for way in ways:
            taken[way.says].append(_audit(way, arguments.threads))
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    landed = taken["landed"]
    for way in ways:
        mine = taken[way.says]
        cells = [f"{mine[0]['level']}, {mine[0]['p']:.3f}", f"{mine[0]['arms']:.0f}"]
        for name in ("seconds", "cpu", "first"):
            now, before = (median(each[name] for each in runs) for runs in (mine, landed))
            cells += [f"{now:.1f}", f"{before / now:.2f}"]
        cells += [f"{max(each['memory'] for each in mine) / 2**20:.0f}", "; ".join(str(each["forecast"])[21:] for each in mine)]
        print(f"| {way.says} | {' | '.join(cells)} |", flush=True)


_COLUMNS = (
    "audit",
    "level, p",
    "arms",
    "seconds",
    "ratio",
    "of the processor",
    "ratio",
    "to the first picture",
    "ratio",
    "peak, MB",
    "forecast",
)


def _audit(way: Way, threads: int) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        prompt = (DEMO / "prompt.txt").read_text("utf-8").strip()
        photos: Sequence[str] = ("--photos", str(DEMO / "photos"), "--prompt", prompt, "--device", "cpu")
        command = ("audit", str(DEMO / "adapter.safetensors"), *photos, "--fail-on", "never", "--out", f"{folder}/report")
        environment = {**os.environ, "PYTHONPATH": str(way.source.resolve()), "XDG_CACHE_HOME": folder}
        environment["OMP_NUM_THREADS"] = str(threads)
        child = [sys.executable, "-c", _CHILD, str(time.time()), *command, *way.flags]
        done = subprocess.run(child, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        report = json.loads(Path(folder, "report", "report.json").read_text("utf-8"))
        facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        verdict = report["verdict"]
        return {**facts, "level": verdict["level"], "p": verdict["p_value"], "arms": len(report["arms"])}


if __name__ == "__main__":
    main()
