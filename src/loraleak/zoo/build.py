"""Building a zoo: every shard is a task of its own, made from the plan alone; what is there and whole is not made again."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.errors import PhotosError, UsageError
from loraleak.files import write_json
from loraleak.finetuning.stacked import Job, finetune_together, target_modules
from loraleak.people.folders import read_photos
from loraleak.progress import track
from loraleak.types import Adapter
from loraleak.zoo.plan import PlannedAdapter, PlannedShard, ZooPlan
from loraleak.zoo.store import SCHEMA, read_rows, write_shard, write_table

__all__ = ["Failure", "ShardBuilder", "build_shard", "build_zoo"]


@dataclass(frozen=True)
class Failure:
    """A person without an adapter, and why."""

    person: str
    reason: str


ShardBuilder = Callable[[Sequence[PlannedShard]], Iterable[str]]
"""Builds shards in any order and place, and gives the name of each once it is written."""


def build_zoo(
    plan: ZooPlan, people: Path, folder: Path, base: DiffusersBase, *, builder: ShardBuilder | None = None
) -> list[Failure]:
    """Make what is missing of the plan in `folder`, then the manifest. Returns the people that failed.

    Stopped at any time, it goes on with the shards that are missing or damaged, and ends with the same bytes.
    Raises: UsageError, if the folder holds a zoo of another plan or base.
    """
    _begin(plan, folder, base)
    missing = [shard for shard in plan.shards if read_rows(folder, shard.name) is None]
    build = builder or partial(_build_here, people=people, folder=folder, base=base)
    for _ in track(build(missing), "building the zoo", total=len(missing)):
        pass
    tables = [read_rows(folder, shard.name) for shard in plan.shards]
    whole = [table.replace_schema_metadata(None) for table in tables if table is not None]
    if len(whole) < len(tables):
        raise UsageError(f"{len(tables) - len(whole)} shards of {folder} are not whole: run the same build again")
    write_table(pa.concat_tables(whole), folder / "manifest.parquet")
    return [failure for shard in plan.shards for failure in _failures(folder, shard.name)]


def build_shard(shard: PlannedShard, people: Path, folder: Path, base: DiffusersBase) -> None:
    """Train a shard's adapters together and write them; who has no adapter, and why, stands beside."""
    jobs: list[tuple[PlannedAdapter, Job]] = []
    failed: list[Failure] = []
    for planned in shard.adapters:
        try:
            photos = read_photos(people / planned.person, only=planned.images)
        except PhotosError as error:
            failed.append(Failure(planned.person, str(error)))
        else:
            jobs.append((planned, Job([photo.picture for photo in photos], planned.recipe, planned.snapshots)))
    snapshots: list[tuple[dict[str, Any], Adapter]] = []
    if jobs:
        for snapshot in finetune_together(base, [job for _, job in jobs], quiet=True):
            snapshots.append((_facts(jobs[snapshot.job][0], snapshot.step, base), snapshot.adapter))
    diverged = {facts["person"] for facts, adapter in snapshots if not _fits_half(adapter)}
    failed += [Failure(person, "its factors grew without bound: lower the learning rate") for person in sorted(diverged)]
    kept = [(facts, adapter) for facts, adapter in snapshots if facts["person"] not in diverged]
    kept.sort(key=lambda pair: (pair[0]["person"], pair[0]["step"]))
    write_json(folder / "shards" / f"{shard.name}.failed.json", [asdict(failure) for failure in failed])
    first = shard.adapters[0].recipe
    write_shard(folder, shard.name, kept, target_modules(base, first.targets, text_encoder=first.text_encoder))


def _build_here(shards: Sequence[PlannedShard], *, people: Path, folder: Path, base: DiffusersBase) -> Iterator[str]:
    for shard in shards:
        build_shard(shard, people, folder, base)
        yield shard.name


def _begin(plan: ZooPlan, folder: Path, base: DiffusersBase) -> None:
    shapes = target_modules(base, plan.ranges.targets, text_encoder=plan.ranges.text_encoder)
    facts = {
        "schema": SCHEMA,
        "base": base.name,
        "base_sha256": base.sha256,
        "plan": plan.digest,
        "seed": plan.seed,
        "together": plan.together,
        "ranges": asdict(plan.ranges),
        "shapes": {name: list(shape) for name, shape in shapes.items()},
    }
    file = folder / "zoo.json"
    if file.exists():
        there = json.loads(file.read_text("utf-8"))
        differing = [key for key, value in json.loads(json.dumps(facts)).items() if there.get(key) != value]
        if differing:
            raise UsageError(
                f"{folder} holds a zoo that differs in {', '.join(differing)}: build with the same people, ranges, seed and base, "
                "or give another folder"
            )
    write_json(file, facts)


def _facts(planned: PlannedAdapter, step: int, base: DiffusersBase) -> dict[str, Any]:
    return {
        "person": planned.person,
        "step": step,
        "rank": planned.recipe.rank,
        "alpha": planned.recipe.alpha,
        "seed": planned.recipe.seed,
        "images": len(planned.images),
        "recipe": json.dumps(asdict(planned.recipe), sort_keys=True),
        "base_sha256": base.sha256,
    }


def _failures(folder: Path, name: str) -> list[Failure]:
    file = folder / "shards" / f"{name}.failed.json"
    return [Failure(**row) for row in json.loads(file.read_text("utf-8"))] if file.exists() else []


def _fits_half(adapter: Adapter) -> bool:
    return all(bool(f.down.half().isfinite().all() and f.up.half().isfinite().all()) for f in adapter.factors.values())
