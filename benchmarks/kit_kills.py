"""A build of a kit that is killed in every stage ends with the same bytes: python benchmarks/kit_kills.py --kills 20

It builds a small kit of drawn people on a tiny pipeline undisturbed. It builds the kit once more in another folder, kills that build
(SIGKILL) and starts it again `--kills` times, and lets it end. Then it compares the two kits byte for byte. The kills are spread over
the stages: each waits until its stage has begun or is half done, and then a random moment.

With `--zoo URL`, such as s3://bucket/zoo, the killed build has its zoo there and builds it with Ray on this machine. In the zoo's stage
a Ray worker is then killed before each kill. The undisturbed build has its zoo in a folder.
"""

import argparse
import contextlib
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from true_pipelines import TINY, make_pipeline
from upath import UPath

_PIPELINE = {
    "unet": {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "attention_head_dim": 2,
        "cross_attention_dim": 64,
        "norm_num_groups": 4,
    },
    "text_encoder": TINY["text_encoder"],
    "vae": {"block_out_channels": (8, 16), "layers_per_block": 1, "latent_channels": 4, "norm_num_groups": 4},
}
_STAGES = {
    "people": ("people/*.npz", 0.5),
    "zoo": ("zoo/shards/*.parquet", 0.5),
    "training": ("training/settings.json", 1),
    "checkpoint": ("training/best.pt", 1),
    "controls": ("controls/adapters-*/*.safetensors", 0.5),
    "sampling": ("controls/arms-*/*.npz", 0.5),
    "quality": ("quality/arms-*/*.npz", 0.5),
}
"""What tells that a stage has come: files, and which share of them."""
_FLAGS = (
    "--embedder", "pocket", "--controls", 4, "--others", 4, "--quality", 3, "--photos", 3, "--pictures", 2, "--sampler-steps", 4,
    "--train-steps", 12, "--train-batch", 8, "--ranks", 1, 2, "--steps", 4, 8, "--images", 2, 4, "--batch", 1, "--prior-batch", 1,
    "--class-count", 4, "--snapshots", 2, "--together", 3, "--workers", 1, "--device", "cpu",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--people", type=int, default=22)
    parser.add_argument("--delay", type=float, default=3, help="seconds between the sign of a stage and a kill, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--zoo", default="", help="URL of an empty place for the zoo, which Ray then builds")
    arguments = parser.parse_args()
    elsewhere = ("--zoo", arguments.zoo, "--ray", "local") if arguments.zoo else ()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people, base = folder / "people", make_pipeline("sd15", folder / "pipeline", _PIPELINE)
        _run("people", people, "--split", "public", "--count", arguments.people, "--images", 4, "--size", 16)
        start = time.perf_counter()
        _run(*_build(people, base, folder / "whole"))
        print(f"undisturbed: {time.perf_counter() - start:.0f} s", flush=True)
        kills, workers, ended = 0, 0, False
        for kill in range(arguments.kills):
            stage = list(_STAGES)[kill * len(_STAGES) // arguments.kills]
            pattern, share = _STAGES[stage]
            wanted = math.ceil(share * len(list((folder / "whole").glob(pattern))))
            there = (
                UPath(arguments.zoo, use_listings_cache=False)
                if arguments.zoo and pattern.startswith("zoo/")
                else folder / "killed" / "zoo"
            )
            with _started(*_build(people, base, folder / "killed"), *elsewhere) as process:
                while process.poll() is None and _there(folder / "killed", there, pattern) < wanted:
                    time.sleep(0.05)
                workers += bool(elsewhere) and stage == "zoo" and _worker_killed(process.pid)
                ended = _ended_within(process, rng.uniform(0, arguments.delay))
                process.kill()
            kills += not ended
            told = f", but it had ended with {process.returncode}" if ended else ""
            print(f"kill {kill + 1:>2} in or after {stage}{told}", flush=True)
        (folder / "killed.safetensors").unlink(missing_ok=True)
        _run(*_build(people, base, folder / "killed"), *elsewhere)
        whole, killed = ((folder / f"{name}.safetensors").read_bytes() for name in ("whole", "killed"))
        verdict = "equal" if whole == killed else "DIFFERENT"
        print(f"{kills} kills, {workers} of Ray workers besides; {len(whole)} bytes; the kits are {verdict}")
        sys.exit(whole != killed)


def _there(work: Path, zoo: Path | UPath, pattern: str) -> int:
    """Number of files of a stage."""
    inside = pattern.removeprefix("zoo/")
    return len(list((work if inside == pattern else zoo).glob(inside)))


def _worker_killed(build: int, seconds: float = 60) -> bool:
    """SIGKILL a Ray worker of the build that has a shard in hand."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and psutil.pid_exists(build):
        for process in psutil.Process(build).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ray::build_one" in " ".join(process.cmdline()):
                    process.kill()
                    return True
        time.sleep(0.02)
    return False


def _build(people: Path, base: Path, work: Path) -> tuple[object, ...]:
    out = work.with_suffix(".safetensors")
    return ("kit", "build", "--people", people, "--base", base, "--work", work, "-o", out, "--overwrite", *_FLAGS)


def _started(*arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "loraleak", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run(*arguments: object) -> None:
    command = [sys.executable, "-m", "loraleak", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def _ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


if __name__ == "__main__":
    main()
