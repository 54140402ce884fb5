"""The store of a zoo: shards of stacked factors in half precision, and a manifest with one row for each snapshot.

```
zoo.json              schema, base, plan digest, weight shapes of the modules
class-images.npy      class images of prior preservation, made once
manifest.parquet      person, step, recipe, seed, base hash, shard, offset, checksum: one row a snapshot
shards/00000.safetensors
shards/00000.parquet  this shard's rows, written after it: a shard without them does not exist
```
A row of a shard is one snapshot: for every module A then B, filled up with zeros to the shard's highest rank.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor

from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.types import Adapter, Factors, StackedFactors
from loraleak.zoo.places import Place, open_place, put, read_range

__all__ = ["ROWS", "SCHEMA", "Zoo", "read_rows", "write_manifest", "write_shard"]

SCHEMA = "loraleak.zoo/1"

ROWS = pa.schema(
    {
        "person": pa.string(),
        "step": pa.int32(),
        "rank": pa.int32(),
        "alpha": pa.float64(),
        "seed": pa.int64(),
        "images": pa.int32(),
        "recipe": pa.string(),
        "base_sha256": pa.string(),
        "shard": pa.string(),
        "stored_rank": pa.int32(),
        "offset": pa.int64(),
        "sha256": pa.string(),
    }
)
"""Columns of the manifest. `recipe` is JSON, `stored_rank` the rank to which the shard is filled up, `offset` in bytes."""

_VALUES = "values"


class Zoo:
    """A finished zoo, which is read row by row: from memory-mapped shards, or by range from object storage."""

    def __init__(self, folder: str | Place) -> None:
        """Open the zoo in this folder or at this URL. Raises: UsageError, if the folder (or URL) holds no finished zoo."""
        self.folder = open_place(folder)
        try:
            facts = json.loads((self.folder / "zoo.json").read_text("utf-8"))
            self.manifest = _read_table(self.folder / "manifest.parquet")
        except FileNotFoundError as error:
            raise UsageError(f"{folder} holds no finished zoo: run `loraleak zoo build` with this folder again") from error
        if facts["schema"] != SCHEMA:
            raise UsageError(f"{folder} is a zoo of the kind {facts['schema']!r}, this version reads {SCHEMA}")
        self.base_sha256: str = facts["base_sha256"]
        self.shapes = {name: torch.Size(shape) for name, shape in facts["shapes"].items()}
        self._shard = self.manifest["shard"].to_numpy(zero_copy_only=False)
        self._offset = self.manifest["offset"].to_numpy()
        self._rank = self.manifest["rank"].to_numpy()
        self._stored_rank = self.manifest["stored_rank"].to_numpy()
        self._scale = (self.manifest["alpha"].to_numpy() / self._rank).astype(np.float32)
        self.rank = int(self._stored_rank.max())

    def __len__(self) -> int:
        return int(self.manifest.num_rows)

    @cached_property
    def starts(self) -> Int[np.ndarray, " snapshots"]:
        """Seed of the factors A at the start of each snapshot's training."""
        return np.array([Recipe(**json.loads(recipe)).start for recipe in self.manifest["recipe"].to_pylist()])

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all snapshots."""
        return hashlib.sha256("".join(self.manifest["sha256"].to_pylist()).encode()).hexdigest()

    def batch(self, indices: Sequence[int] | Int[np.ndarray, " count"]) -> StackedFactors:
        """Factors of these snapshots, in this order, in float32."""
        chosen = np.asarray(indices)
        down = {name: torch.zeros(len(chosen), self.rank, *shape[1:]) for name, shape in self.shapes.items()}
        up = {name: torch.zeros(len(chosen), shape[0], self.rank) for name, shape in self.shapes.items()}
        for rank in np.unique(self._stored_rank[chosen]):
            where = np.flatnonzero(self._stored_rank[chosen] == rank)
            rows = torch.from_numpy(np.stack([self._row(int(i)) for i in chosen[where]])).float()
            at, stored = torch.from_numpy(where), int(rank)
            parts = iter(rows.split(_sizes(self.shapes, stored), dim=1))
            for name, shape in self.shapes.items():
                down[name][at, :stored] = next(parts).view(-1, stored, *shape[1:])
                up[name][at, :, :stored] = next(parts).view(-1, shape[0], stored)
        return StackedFactors(down, up, torch.from_numpy(self._scale[chosen]), torch.from_numpy(self._rank[chosen]))

    def stream(self, size: int, *, seed: int, epoch: int = 0, window: int = 64) -> Iterator[Int[np.ndarray, " _size"]]:
        """Indices of every snapshot once, in random batches of neighbours. Shards are shuffled, and `window` of them mixed."""
        rng = np.random.default_rng([seed, epoch])
        shards = rng.permutation(np.unique(self._shard))
        waiting = np.empty(0, dtype=np.int64)
        for start in range(0, len(shards), window):
            here = np.flatnonzero(np.isin(self._shard, shards[start : start + window]))
            waiting = rng.permutation(np.concatenate([waiting, here]))
            while len(waiting) >= size and (len(waiting) >= size * 2 or start + window >= len(shards)):
                yield waiting[:size]
                waiting = waiting[size:]
        if len(waiting):
            yield waiting

    def adapter(self, index: int) -> Adapter:
        """Adapter of one snapshot, at its own rank."""
        stacked = self.batch([index])
        rank, scale = int(stacked.ranks[0]), float(stacked.scales[0])
        factors = {
            name: Factors(
                down=stacked.down[name][0, :rank].clone(),
                up=stacked.up[name][0, :, :rank].reshape(shape[0], rank, *(1,) * (len(shape) - 2)).clone(),
                scale=scale,
            )
            for name, shape in self.shapes.items()
        }
        return Adapter(factors=factors, format="memory")

    def find(self, person: str, step: int | None = None) -> int:
        """Index of a person's snapshot after `step` steps, or of the last one where no step is given.

        Raises: UsageError, if there is none.
        """
        steps = {int(s): i for i, (p, s) in enumerate(zip(*self._people_and_steps(), strict=True)) if p == person}
        if not steps:
            raise UsageError(f"no person is called {person!r} in {self.folder}")
        if step is not None and step not in steps:
            raise UsageError(f"{person} has no snapshot after {step} steps: choose from {', '.join(map(str, sorted(steps)))}")
        return steps[max(steps) if step is None else step]

    def last_rows(self) -> Int[np.ndarray, " people"]:
        """Indices of each person's last snapshot, in rising order."""
        people, steps = self._people_and_steps()
        last: dict[str, int] = {}
        for row, person in enumerate(people):
            if person not in last or steps[row] > steps[last[person]]:
                last[person] = row
        return np.array(sorted(last.values()), dtype=np.int64)

    def faults(self) -> dict[str, str]:
        """Faults by shard; empty where every byte is as it was written."""
        found: dict[str, str] = {}
        for name in np.unique(self._shard):
            rows = read_rows(self.folder, str(name))
            if rows is None:
                found[str(name)] = "missing or damaged"
        return found

    def _people_and_steps(self) -> tuple[list[str], list[int]]:
        return self.manifest["person"].to_pylist(), self.manifest["step"].to_pylist()

    def _row(self, index: int) -> Float[np.ndarray, " _size"]:
        size = sum(_sizes(self.shapes, int(self._stored_rank[index])))
        file = self.folder / "shards" / f"{self._shard[index]}.safetensors"
        return read_range(file, int(self._offset[index]), size * 2).view(np.float16)


def write_shard(
    folder: Place, name: str, snapshots: Sequence[tuple[Mapping[str, Any], Adapter]], shapes: Mapping[str, torch.Size]
) -> None:
    """Write a shard, then its rows. `snapshots` are the manifest's columns, but for the rank and the place, and the adapter.

    A row has one scale. Where the modules of an adapter differ in theirs, the scales go into B.
    """
    snapshots = [(facts, _of_one_scale(adapter)) for facts, adapter in snapshots]
    stored = max((adapter.ranks[1] for _, adapter in snapshots), default=1)
    values = torch.zeros(len(snapshots), sum(_sizes(shapes, stored)), dtype=torch.float16)
    for row, (_, adapter) in zip(values, snapshots, strict=True):
        _fill(row, adapter, shapes, stored)
    data = save({_VALUES: values}, metadata={"loraleak": SCHEMA})  # one field: with more, their order is random
    start = len(data) - values.numel() * 2
    width = values.shape[1] * 2
    rows = [
        {
            **facts,
            "rank": adapter.ranks[1],
            "alpha": adapter.ranks[1] * _scale(adapter),
            "stored_rank": stored,
            "shard": name,
            "offset": start + i * width,
            "sha256": hashlib.sha256(data[start + i * width : start + (i + 1) * width]).hexdigest(),
        }
        for i, (facts, adapter) in enumerate(snapshots)
    ]
    put(folder / "shards" / f"{name}.safetensors", data)
    table = pa.Table.from_pylist(rows, schema=ROWS).replace_schema_metadata({"shard_sha256": hashlib.sha256(data).hexdigest()})
    _write_table(table, folder / "shards" / f"{name}.parquet")


def _of_one_scale(adapter: Adapter) -> Adapter:
    if len({factors.scale for factors in adapter.factors.values()}) == 1:
        return adapter
    factors = {
        name: replace(f, up=f.up * (1.0 if f.scale is None else f.scale), scale=1.0) for name, f in adapter.factors.items()
    }
    return replace(adapter, factors=factors)


def _scale(adapter: Adapter) -> float:
    scale = next(iter(adapter.factors.values())).scale
    return 1.0 if scale is None else scale


def read_rows(folder: Place, name: str) -> pa.Table | None:
    """The rows of a whole shard; None where the shard is missing, incomplete or not as it was written."""
    rows_file, shard = folder / "shards" / f"{name}.parquet", folder / "shards" / f"{name}.safetensors"
    try:
        rows = _read_table(rows_file)
        with shard.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # fsspec files do read into buffers
    except (OSError, pa.ArrowException):
        return None
    recorded = (rows.schema.metadata or {}).get(b"shard_sha256", b"").decode()
    return rows if digest == recorded else None


def write_manifest(folder: Place, shards: Iterable[pa.Table]) -> None:
    """Write the manifest of these shards' rows, which finishes the zoo."""
    rows = [table.replace_schema_metadata(None) for table in shards]
    _write_table(pa.concat_tables(rows) if rows else ROWS.empty_table(), folder / "manifest.parquet")


def _read_table(file: Place) -> pa.Table:
    """Read Parquet without threads, because Arrow's sometimes abort a process that ends (apache/arrow#33975)."""
    return pq.read_table(pa.BufferReader(file.read_bytes()), use_threads=False, pre_buffer=False)


def _write_table(table: pa.Table, file: Place) -> None:
    """Write Parquet, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    put(file, sink.getvalue().to_pybytes())


def _sizes(shapes: Mapping[str, torch.Size], rank: int) -> list[int]:
    return [size for shape in shapes.values() for size in (rank * prod(shape[1:]), shape[0] * rank)]


def _fill(row: Tensor, adapter: Adapter, shapes: Mapping[str, torch.Size], rank: int) -> None:
    parts = iter(row.split(_sizes(shapes, rank)))
    for name, shape in shapes.items():
        factors = adapter.factors[name]
        next(parts).view(rank, *shape[1:])[: factors.rank] = factors.down.half()
        next(parts).view(shape[0], rank)[:, : factors.rank] = factors.up.view(shape[0], factors.rank).half()
