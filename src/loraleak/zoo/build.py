"""The build of a zoo. Every shard is a task of its own, made from the plan alone. Whole shards are not made again."""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences import UNDEFENDED, TrainingTime, spelled
from loraleak.errors import PhotosError, UsageError
from loraleak.files import json_bytes
from loraleak.finetuning import Job, target_modules
from loraleak.finetuning.class_images import class_images
from loraleak.people import read_photos
from loraleak.progress import track
from loraleak.types import Adapter, Images
from loraleak.zoo.places import Place, forget_partials, open_place, put
from loraleak.zoo.plan import PlannedAdapter, PlannedShard, ZooPlan
from loraleak.zoo.store import SCHEMA, read_rows, write_manifest, write_shard
from loraleak.zoo.threads import one_thread

__all__ = ["Failure", "Outcome", "ShardBuilder", "build_shard", "build_zoo", "recorded_together"]


@dataclass(frozen=True)
class Failure:
    """A person without an adapter, and the reason."""

    person: str
    reason: str
    unreadable: bool = False
    """Whether the images could not be read. The next build tries again once they can be."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one shard's build."""

    shard: str
    fault: str | None = None
    """Reason why it was not written; None where it was."""


ShardBuilder = Callable[[Sequence[PlannedShard]], Iterable[Outcome]]
"""Function that builds shards in any order and place, and gives the outcome of each once it is done."""


def build_zoo(
    plan: ZooPlan, people: Path, folder: str | Place, base: DiffusersBase, *, builder: ShardBuilder | None = None
) -> list[Failure]:
    """Make the shards of the plan that `folder` lacks, then the manifest. Returns the people that failed.

    A build that was stopped goes on with the shards that are missing or damaged, and ends with the same bytes. A shard that
    cannot be made does not stop the others. Without a builder, shards are made here, one after the other.
    Raises: UsageError, if the folder holds a zoo of another plan or base.
    """
    folder = open_place(folder)
    _begin(plan, folder, base)
    tables = {
        shard.name: read_rows(folder, shard.name)
        for shard in track(plan.shards, "looking for finished shards", len(plan.shards))
    }
    missing = [shard for shard in plan.shards if tables[shard.name] is None or _mended(folder, shard.name, people)]
    build = builder or partial(_build_here, people=people, folder=folder, base=base, defence=plan.defence)
    faults: dict[str, str] = {}
    for outcome in track(build(missing) if missing else (), "building the zoo", total=len(missing)):
        tables[outcome.shard] = read_rows(folder, outcome.shard)
        if outcome.fault is not None:
            faults[outcome.shard] = outcome.fault
    write_manifest(folder, [table for table in tables.values() if table is not None])
    lost = [shard for shard in plan.shards if tables[shard.name] is None]
    return [failure for shard in plan.shards for failure in _failures(folder, shard.name)] + [
        Failure(planned.person, faults.get(shard.name, "its shard was damaged once it was written"))
        for shard in lost
        for planned in shard.adapters
    ]


def recorded_together(folder: str | Place) -> int:
    """Number of adapters in a batch of the zoo in this folder; 0 where none was begun."""
    file = open_place(folder) / "zoo.json"
    return int(json.loads(file.read_text("utf-8"))["together"]) if file.exists() else 0


def build_shard(
    shard: PlannedShard, people: Path, folder: Place, base: DiffusersBase, defence: TrainingTime = UNDEFENDED
) -> None:
    """Train a shard's adapters together and write them, with a file of the people who have no adapter, and the reasons.

    It runs on one thread, so that a shard has the same bytes whichever CPU worker builds it.
    """
    with one_thread():
        _build_shard(shard, people, folder, base, defence)


def _build_shard(shard: PlannedShard, people: Path, folder: Place, base: DiffusersBase, defence: TrainingTime) -> None:
    prior, base_sha256 = _read_class_images(folder), base.sha256  # hash of the bare base, which holds adapters while training
    jobs: list[tuple[PlannedAdapter, Job]] = []
    failed: list[Failure] = []
    for planned in shard.adapters:
        try:
            photos = read_photos(people / planned.person, only=planned.images, whole=True)
        except PhotosError as error:
            failed.append(Failure(planned.person, str(error), unreadable=True))
        else:
            jobs.append((planned, Job([photo.picture for photo in photos], planned.recipe, planned.snapshots, prior)))
    snapshots: list[tuple[dict[str, Any], Adapter]] = []
    if jobs:
        for snapshot in defence.finetune_together(base, [job for _, job in jobs], quiet=True):
            snapshots.append((_facts(jobs[snapshot.job][0], snapshot.step, base_sha256, defence), snapshot.adapter))
    diverged = {facts["person"] for facts, adapter in snapshots if not _fits_half(adapter)}
    failed += [Failure(person, "its factors grew without bound: lower the learning rate") for person in sorted(diverged)]
    kept = [(facts, adapter) for facts, adapter in snapshots if facts["person"] not in diverged]
    kept.sort(key=lambda pair: (pair[0]["person"], pair[0]["step"]))
    put(_failures_file(folder, shard.name), json_bytes([asdict(failure) for failure in failed]))
    write_shard(folder, shard.name, kept, _shapes(shard, base, defence))


def _shapes(shard: PlannedShard, base: DiffusersBase, defence: TrainingTime) -> dict[str, torch.Size]:
    """Weight shapes of the modules that get factors, the same in every shard."""
    trained = defence.defended(shard.adapters[0].recipe)
    return target_modules(base, trained.targets, text_encoder=trained.text_encoder)


def _build_here(
    shards: Sequence[PlannedShard], *, people: Path, folder: Place, base: DiffusersBase, defence: TrainingTime
) -> Iterable[Outcome]:
    for shard in shards:
        try:
            build_shard(shard, people, folder, base, defence)
        except OSError as error:
            yield Outcome(shard.name, f"its shard was not written ({error})")
        else:
            yield Outcome(shard.name)


def _begin(plan: ZooPlan, folder: Place, base: DiffusersBase) -> None:
    facts = {
        "schema": SCHEMA,
        "base": base.name,
        "base_sha256": base.sha256,
        "plan": plan.digest,
        "seed": plan.seed,
        "together": plan.together,
        "ranges": asdict(plan.ranges),
        "defence": spelled(plan.defence) or None,
        "shapes": {name: list(shape) for name, shape in _shapes(plan.shards[0], base, plan.defence).items()},
        **({} if base.resolution == base.own_resolution else {"resolution": base.resolution}),
    }
    if facts["defence"]:
        facts["guarantee"] = plan.guarantee.as_json()
    file = folder / "zoo.json"
    if file.exists():
        there = json.loads(file.read_text("utf-8"))
        mine = json.loads(json.dumps(facts))
        follows = ("base", "guarantee")  # a base is its weights, wherever it lies; a guarantee is that of the defence
        differing = [key for key in {**mine, **there} if key not in follows and there.get(key) != mine.get(key)]
        if differing:
            raise UsageError(
                f"{folder} holds a zoo that differs in {', '.join(differing)}: build with the same people, ranges, seed, defence and "
                "base, or give another folder"
            )
    forget_partials(folder)
    if plan.ranges.prior_batch and not _class_images_file(folder).exists():
        put(_class_images_file(folder), _npy(class_images(base, plan.ranges.class_images)))
    put(file, json_bytes(facts))


def _npy(images: Images) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, images)
    return buffer.getvalue()


def _read_class_images(folder: Place) -> Images | None:
    """Class images of a zoo; None where it was built without any."""
    if not _class_images_file(folder).exists():
        return None
    images: Images = np.load(io.BytesIO(_class_images_file(folder).read_bytes()), allow_pickle=False)
    return images


def _class_images_file(folder: Place) -> Place:
    return folder / "class-images.npy"


def _facts(planned: PlannedAdapter, step: int, base_sha256: str, defence: TrainingTime) -> dict[str, Any]:
    recipe = defence.defended(planned.recipe)
    return {
        "person": planned.person,
        "step": step,
        "seed": recipe.seed,
        "images": len(planned.images),
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "base_sha256": base_sha256,
    }


def _mended(folder: Place, name: str, people: Path) -> bool:
    """Whether images that could not be read when the shard was built can be read now."""
    for failure in _failures(folder, name):
        if failure.unreadable:
            try:
                read_photos(people / failure.person, whole=True)
            except PhotosError:
                continue
            return True
    return False


def _failures(folder: Place, name: str) -> list[Failure]:
    file = _failures_file(folder, name)
    return [Failure(**row) for row in json.loads(file.read_text("utf-8"))] if file.exists() else []


def _failures_file(folder: Place, name: str) -> Place:
    return folder / "shards" / f"{name}.failed.json"


def _fits_half(adapter: Adapter) -> bool:
    return all(bool(f.down.half().isfinite().all() and f.up.half().isfinite().all()) for f in adapter.factors.values())
