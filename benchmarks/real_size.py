"""Estimates of memory beside measured peaks, on pipelines of true size with random weights.

    python benchmarks/real_size.py work --pipelines tiny sd15 sdxl                       # a CPU: about 20 GB of memory for sdxl
    python benchmarks/real_size.py work --pipelines sdxl sd3 flux --device cuda --dtype bfloat16 --rates

Each stage is a command in a process of its own: two steps of fine-tuning, two sampler steps of `attack` and of `audit` (with the
embedders and photos of 12 megapixels), and a zoo of two people. The estimate is the line that the command prints. The peak is the
process's largest resident memory, or on a GPU what the process holds of the card's memory. `--rates` adds seconds a step and
adapters an hour by the number of adapters in a batch, beside a loop of peft over one person at a time. `--file` takes a LoRA
that fits in the place of the one that fine-tuning makes. `--times` weakens a LoRA first: random weights answer it much more than
trained ones do, and attacks then search long for an ordinary strength, which was .02 times that of the made one.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from real_rates import print_rates
from true_pipelines import PIPELINES, TINY, make_pipeline

from loraleak.adapters import load_adapter, save_adapter
from loraleak.arms import at_strength
from loraleak.bases import load_base
from loraleak.people.avatars import draw_look, render
from loraleak.people.splits import draw_people

STAGES = ("finetune", "attack", "audit", "zoo")
_PHONE = (4032, 3024)
_PHOTOS = 3
_OTHERS = 19
_UNITS = {"MB": 2**20, "GB": 2**30}


@dataclass(frozen=True)
class Measured:
    """Bytes that a command said it would take, bytes that it took, and its seconds."""

    estimate: float
    peak: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for pipelines, photos and results; made pipelines are used again")
    parser.add_argument("--pipelines", nargs="+", choices=("tiny", *PIPELINES), default=["tiny", "sd15"])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--resolution", type=int, help="side of the pictures; the pipeline's own if none is given")
    parser.add_argument("--file", type=Path, help="a LoRA that fits the pipeline")
    parser.add_argument("--times", type=float, default=1.0, help="factor of the LoRA's update in attack and audit")
    parser.add_argument("--rates", action="store_true", help="seconds a step and adapters an hour, by the adapters in a batch")
    arguments = parser.parse_args()
    if arguments.device == "cpu" and {"sd3", "flux"} & set(arguments.pipelines):
        parser.error("sd3 and flux take a GPU: give --device cuda --dtype bfloat16")
    _photos(arguments.work)
    print("| pipeline | side | stage | estimate, GB | peak, GB | ratio | seconds |\n|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.pipelines:
        kind, configs = ("sd15", TINY) if name == "tiny" else (name, PIPELINES[name])
        folder = make_pipeline(
            kind, arguments.work / f"{name}-{arguments.dtype}", configs, getattr(torch, arguments.dtype), arguments.device
        )
        common = ["--base", str(folder), "--device", arguments.device, "--dtype", arguments.dtype]
        if arguments.resolution:
            common += ["--resolution", str(arguments.resolution)]
        for stage, command in _commands(arguments.work, name, arguments.file, arguments.times, common).items():
            if stage in arguments.stages:
                if stage in ("attack", "audit") and arguments.times != 1:
                    made = load_adapter(arguments.file or arguments.work / f"{name}.safetensors")
                    save_adapter(at_strength(made, arguments.times), _weak(arguments.work, name))
                got = measured(command, arguments.work / "cache", on_gpu=arguments.device != "cpu")
                row = f"{got.estimate / 2**30:.2f} | {got.peak / 2**30:.2f} | {got.estimate / got.peak:.2f} | {got.seconds:.0f}"
                print(f"| {name} | {arguments.resolution or 'own'} | {stage} | {row} |", flush=True)
        if arguments.rates:
            settings = {"device": arguments.device, "dtype": arguments.dtype, "resolution": arguments.resolution}
            print_rates(load_base(str(folder), **settings))


def _weak(work: Path, name: str) -> Path:
    return work / f"{name}-weak.safetensors"


def _commands(work: Path, name: str, file: Path | None, times: float, common: Sequence[str]) -> Mapping[str, Sequence[str]]:
    made = work / f"{name}.safetensors"
    adapter = str(file or made) if times == 1 else str(_weak(work, name))
    few = ["--batch", "1", "--prior-batch", "0"]
    sampled = ["--arms", "lora-class", "--images", "2", "--steps", "2"]
    zoo = tempfile.mkdtemp(prefix="zoo-", dir=work)
    ranges = ["--ranks", "4", "--steps", "2", "2", "--images", "3", "3", "--snapshots", "1"]
    judged = ["--photos", str(work / "people" / "0"), "--others", str(work / "others"), "--fail-on", "never"]
    return {
        "finetune": ["finetune", str(work / "people" / "0"), "--out", str(made), "--rank", "4", "--steps", "2", *few, *common],
        "attack": ["attack", adapter, "--out", str(work / "attack"), "--overwrite", *sampled, *common],
        "audit": ["audit", adapter, "--out", str(work / "report"), "--overwrite", *judged, *sampled, *common],
        "zoo": [
            "zoo",
            "build",
            str(work / "people"),
            "--out",
            zoo,
            "--workers",
            "1",
            "--together",
            "2",
            *ranges,
            *few,
            *common,
        ],
    }


def measured(command: Sequence[str], cache: Path, *, on_gpu: bool = False) -> Measured:
    """Run a command of loraleak in a process of its own. Raises: RuntimeError, if it fails or prints no estimate."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        process = subprocess.Popen(
            [sys.executable, "-m", "loraleak", *command], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _on_gpu(process.pid) if on_gpu else _resident(process.pid))
            time.sleep(0.1)
        log.seek(0)
        said = log.read()
    found = re.search(r"takes about ([\d.]+) (MB|GB) of memory", said)
    if process.returncode or not found:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Measured(float(found[1]) * _UNITS[found[2]], peak, time.perf_counter() - start)


def _resident(process: int) -> int:
    """Largest resident memory of a process up to now, in bytes, as Linux keeps it; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _on_gpu(process: int) -> int:
    """Memory of the card that a process holds, in bytes."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    rows = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(int(memory) * 2**20 for pid, memory in (row.split(",") for row in rows) if int(pid) == process)


def _photos(work: Path) -> None:
    """Photos as a phone takes them, of two drawn people; one smaller photo of each of the others."""
    people = draw_people("public", 2 + _OTHERS, seed=3)
    rng = np.random.default_rng(3)
    for i, person in enumerate(people):
        for j in range(_PHOTOS if i < 2 else 1):
            file = work / (f"people/{i}/{j}.jpg" if i < 2 else f"others/{i}.jpg")
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                drawn = Image.fromarray(render(person, draw_look(rng, person.style), 512))
                (drawn.resize(_PHONE) if i < 2 else drawn).save(file)


if __name__ == "__main__":
    main()
