"""Growth of a zoo's store: python benchmarks/zoo_store.py --snapshots 1000 5000 20000

It fills zoos of pocket's shape with random factors. It reads each in a process of its own, to measure the reader's memory.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from loraleak.files import write_json
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Adapter, Factors
from loraleak.zoo.store import SCHEMA, Zoo, read_rows, write_manifest, write_shard

_RANK, _EACH, _SHARD, _BATCH = 8, 8, 16, 32
"""Rank, snapshots a person, people a shard, snapshots a batch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    parser.add_argument("--folder", type=Path, default=None, help="where the zoos are made; a temporary folder by default")
    arguments = parser.parse_args()
    print(f"{'snapshots':>10}{'GB':>7}{'open ms':>9}{'random batches/s':>18}{'stream s':>10}{'snapshots/s':>13}{'peak MB':>9}")
    for count in arguments.snapshots:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            size = _fill(Path(name), count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                opened, batches, stream, peak = pool.apply(_read, (name,))
        print(
            f"{count:>10}{size / 1e9:>7.2f}{opened * 1e3:>9.0f}{batches:>18.0f}{stream:>10.1f}{count / stream:>13.0f}{peak:>9.0f}"
        )


def _fill(folder: Path, count: int) -> int:
    """Write a zoo of about `count` snapshots. Returns its bytes."""
    from loraleak.bases import load_base  # imported here, because readers start from this file too and need no models
    from loraleak.finetuning.targets import target_modules

    shapes = target_modules(load_base("pocket", device="cpu"), "attention", text_encoder=False)
    generator = torch.Generator().manual_seed(0)
    factors = {
        name: Factors(
            down=torch.randn(_RANK, *shape[1:], generator=generator),
            up=torch.randn(shape[0], _RANK, generator=generator),
            scale=1.0,
        )
        for name, shape in shapes.items()
    }
    adapter = Adapter(factors=factors, format="memory")
    recipe = json.dumps(vars(Recipe()))
    tables: list[pa.Table] = []
    rows = [(person, step) for person in range(count // _EACH) for step in range(1, _EACH + 1)]
    for start in range(0, len(rows), _SHARD * _EACH):
        name = f"{start // (_SHARD * _EACH):05d}"
        facts = [
            {
                "person": f"person-{person:05d}",
                "step": step,
                "rank": _RANK,
                "alpha": 8.0,
                "seed": person,
                "images": 5,
                "recipe": recipe,
                "base_sha256": "",
            }
            for person, step in rows[start : start + _SHARD * _EACH]
        ]
        write_shard(folder, name, [(fact, adapter) for fact in facts], shapes)
        table = read_rows(folder, name)
        if table is None:
            raise RuntimeError(f"shard {name} was not written whole")
        tables.append(table)
    write_manifest(folder, tables)
    write_json(
        folder / "zoo.json",
        {"schema": SCHEMA, "base_sha256": "", "shapes": {name: list(shape) for name, shape in shapes.items()}},
    )
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _read(folder: str) -> tuple[float, float, float, float]:
    """Seconds to open, random batches a second, seconds of one streaming pass, peak resident MB."""
    start = time.perf_counter()
    zoo = Zoo(folder)
    opened = time.perf_counter() - start
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(50):
        zoo.batch(rng.integers(len(zoo), size=_BATCH))
    batches = 50 / (time.perf_counter() - start)
    start = time.perf_counter()
    seen = sum(len(zoo.batch(indices).ranks) for indices in zoo.stream(_BATCH, seed=0))
    if seen != len(zoo):
        raise RuntimeError(f"{seen} of {len(zoo)} snapshots came by")
    return opened, batches, time.perf_counter() - start, _peak_megabytes()


def _peak_megabytes() -> float:
    """Peak resident MB of this process alone, on Linux. getrusage's peak is inherited from the parent."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    main()
