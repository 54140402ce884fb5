"""A build that is killed again and again ends with the same bytes: python benchmarks/zoo_kills.py --kills 20

It builds a small zoo on pocket undisturbed. It builds it once more, kills that build (SIGKILL) and starts it again `--kills`
times, and lets it end. Then it compares every file, the manifest included.
Kill `i` of `n` falls at a random moment after `i / (n + 1)` of the shards are there.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_FLAGS = ("--together", "2", "--steps", "8", "24", "--batch", "2", "--prior-batch", "1", "--snapshots", "4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--people", type=int, default=96)
    parser.add_argument("--delay", type=float, default=1.5, help="seconds between the shards' being there and a kill, at most")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = folder / "people"
        _loraleak("people", people, "--split", "public", "--count", arguments.people, "--images", 5)
        start = time.perf_counter()
        _loraleak("zoo", "build", people, "--out", folder / "whole", *_FLAGS)
        print(f"undisturbed: {time.perf_counter() - start:.0f} s, {_shards(folder / 'whole')} shards")
        for kill in range(1, arguments.kills + 1):
            wanted = _shards(folder / "whole") * kill // (arguments.kills + 1)
            with _started("zoo", "build", people, "--out", folder / "killed", *_FLAGS) as process:
                while process.poll() is None and _shards(folder / "killed") < wanted:
                    time.sleep(0.05)
                ended = _ended_within(process, rng.uniform(0, arguments.delay))
                process.kill()
            print(f"kill {kill:>2}{' (it had ended)' if ended else ''}: {_shards(folder / 'killed')} shards")
        _loraleak("zoo", "build", people, "--out", folder / "killed", *_FLAGS)
        shutil.rmtree(people)
        whole, killed = _bytes(folder / "whole"), _bytes(folder / "killed")
        differing = [file for file in whole.keys() | killed.keys() if whole.get(file) != killed.get(file)]
        print(f"{len(whole)} files, {sum(map(len, whole.values()))} bytes; differing: {differing or 'none'}")
        sys.exit(bool(differing))


def _started(*arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "loraleak", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _loraleak(*arguments: object) -> None:
    with _started(*arguments) as process:
        if process.wait() != 0:
            raise RuntimeError(f"loraleak {arguments[0]} ended with {process.returncode}")


def _ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _shards(folder: Path) -> int:
    return len(list((folder / "shards").glob("*.parquet")))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


if __name__ == "__main__":
    main()
