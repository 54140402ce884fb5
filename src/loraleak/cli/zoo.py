"""`loraleak zoo`: many people's adapters."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import tyro
from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.checks import SEEDS, out_of_bounds, refuse
from loraleak.cli.extras import needs_extra
from loraleak.cli.flags import Out, OutUrl
from loraleak.errors import UsageError
from loraleak.untrusted import printable
from loraleak.zoo import RecipeRanges

if TYPE_CHECKING:
    from loraleak.zoo import Zoo as Store

__all__ = ["Zoo"]


@dataclass(frozen=True)
class Build:
    """Fine-tunes an adapter on every identity folder. A stopped build goes on, and damaged shards are made anew.

    Example: loraleak zoo build people -o zoo
    """

    after_interrupt: ClassVar[str] = "finished shards are kept; the same command goes on with the others"

    people: Positional[Path]
    """Folder of identity folders: <person>/<image>.png."""
    out: OutUrl = "zoo"
    """The zoo's folder, or a URL that fsspec knows, such as s3://bucket/zoo."""
    seed: int = 0
    """Seed of the plan: recipes, images and start of every adapter."""
    together: int = 0
    """Adapters that train in one batch and make one shard. 0 means 16 on a CPU, and as many as fit into its memory on a GPU."""
    workers: int = 0
    """Processes on this machine. 0 means one for each core, or one where there is a GPU."""
    ray: str = ""
    """Address of a Ray cluster that builds in the place of this process, or `local` for a cluster on this machine."""
    defence: str = ""
    """Training-time defence of every adapter, as in `finetune --defence`."""
    split: Path | None = None
    """Split of these people, such as split.json in the work folder of a kit. Only one part is taken. The default is all people."""
    part: str = "public"
    """Part of the split."""
    embedder: str | None = None
    """Embedder that looks for the same person in two folders before anything is trained, such as `faces`. Nobody looks, if none is
    given."""
    json: bool = False
    """Print the facts of the zoo as JSON on stdout."""
    ranges: RecipeRanges = field(default_factory=RecipeRanges)
    base: BaseSettings = field(default_factory=BaseSettings)

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"together": (0, 4096), "workers": (0, 1024), "seed": SEEDS}))

    def run(self) -> int:
        _check_place(self.out)
        store_class = _store_class()
        from loraleak.bases import load_base
        from loraleak.defences import training_time
        from loraleak.people import identities_in, in_part, read_split
        from loraleak.progress import announce
        from loraleak.zoo import (
            Site,
            adapters_together,
            build_zoo,
            forecast_zoo,
            local_workers,
            plan_zoo,
            ray_tasks,
            ray_together,
            recorded_together,
        )

        defence = training_time(self.defence)
        asked = replace(self.base, device="cpu") if self.ray else self.base
        base = load_base(**asked.choices)
        there = self.base if self.ray else replace(self.base, device=base.device.type)
        site = Site(self.people.resolve(), self.out, there.resolved(), self.defence)
        together = self.together or recorded_together(self.out)
        if not together:
            together = ray_together(site, self.ray, self.ranges) if self.ray else adapters_together(base, self.ranges, defence)
        for line in _not_used(self.people):
            announce(line)
        people = identities_in(self.people)
        if self.split is not None:
            people = in_part(people, read_split(self.split), self.part)
        if self.embedder is not None:
            from loraleak.bench import know, tell_doubles
            from loraleak.embedders import load_embedder

            embedder = load_embedder(self.embedder)
            tell_doubles(
                know(people, embedder),
                embedder,
                "`train --embedder` holds out both or neither",
            )
        plan = plan_zoo(people, self.ranges, seed=self.seed, together=together, defence=defence)
        workers = self.workers or (os.cpu_count() or 1 if base.device.type == "cpu" else 1)
        builder = ray_tasks(site, self.ray) if self.ray else local_workers(site, workers)
        if not self.ray:
            announce(forecast_zoo(plan, self.people, base, workers=min(workers, len(plan.shards))).says)
        alone = workers == 1 and not self.ray  # a worker would hold the base a second time
        failures = build_zoo(plan, self.people, self.out, base, builder=None if alone else builder)
        store = store_class(self.out)
        adapted = len(set(store.manifest["person"].to_pylist()))
        facts = {
            "zoo": self.out,
            "people": adapted,
            "snapshots": len(store),
            "failed": [vars(failure) for failure in failures],
            "guarantee": plan.guarantee.as_json(),
        }
        if self.json:
            print(json.dumps(facts))
        else:
            print(f"{self.out}: {adapted} people, {len(store)} snapshots, {len(failures)} people failed")
            if self.defence:
                print(f"{self.defence}: {plan.guarantee.says}")
            for failure in failures:
                print(f"  {failure.person}: {failure.reason}")
        return 1 if failures else 0


@dataclass(frozen=True)
class Defend:
    """Applies a post-hoc defence to every snapshot of a zoo, for an attacker who knows the defence and learns from it.

    Example: loraleak zoo defend zoo --defence gaussian-noise:level=2 -o zoo-noise
    """

    after_interrupt: ClassVar[str] = "finished shards are kept; the same command goes on with the others"

    zoo: Positional[str]
    """The undefended zoo's folder or URL."""
    defence: str
    """Post-hoc defence with settings, such as gaussian-noise:level=2."""
    out: OutUrl = "defended-zoo"
    """The defended zoo's folder or URL."""
    json: bool = False
    """Print the facts of the zoo as JSON on stdout."""
    base: BaseSettings = field(default_factory=lambda: BaseSettings(device="cpu"))

    def run(self) -> int:
        _check_place(self.out)
        store_class = _store_class()
        from loraleak.bases import load_base
        from loraleak.defences import parse_defence
        from loraleak.zoo import defend_zoo

        defence = parse_defence(self.defence)
        if defence.stage != "post-hoc":
            raise UsageError(f"{defence.name} changes fine-tuning: build a zoo with it (`zoo build --defence`)")
        made = defend_zoo(store_class(self.zoo), defence, self.out, load_base(**self.base.choices))
        facts = {"zoo": self.out, "snapshots": len(made), "defence": self.defence}
        print(json.dumps(facts) if self.json else f"{self.out}: {len(made)} snapshots with {self.defence}")
        return 0


@dataclass(frozen=True)
class Verify:
    """Reads every byte of a zoo and lists shards that are missing or damaged. `zoo build` makes those anew.

    Example: loraleak zoo verify zoo
    """

    zoo: Positional[str]
    """The zoo's folder or URL."""
    json: bool = False
    """Print the faults as JSON on stdout."""

    def run(self) -> int:
        store = _store_class()(self.zoo)
        faults = store.faults()
        if self.json:
            print(json.dumps(faults))
        else:
            print(f"{self.zoo}: {len(store)} snapshots, {len(faults)} faulty shards")
            for shard, fault in faults.items():
                print(f"  {shard}: {fault}")
        return 1 if faults else 0


@dataclass(frozen=True)
class Export:
    """Writes one snapshot as an adapter file.

    Example: loraleak zoo export zoo public-0007 -o adapter.safetensors
    """

    zoo: Positional[str]
    """The zoo's folder or URL."""
    person: Positional[str]
    """Person whose adapter it is: the name of the identity folder."""
    step: int | None = None
    """Fine-tuning step of the snapshot. The default is the last one."""
    out: Out = Path("adapter.safetensors")
    """The adapter to write: a .safetensors file (diffusers layout), or a folder (PEFT layout)."""
    layout: Literal["diffusers", "peft"] = "diffusers"
    """Layout of the file: `diffusers` or `peft`."""
    overwrite: bool = False
    """Replace the adapter that is there under this name."""

    def run(self) -> int:
        from loraleak.outputs import check_new

        check_new(self.out, folder=self.layout == "peft", overwrite=self.overwrite)
        from loraleak.adapters import save_adapter

        store = _store_class()(self.zoo)
        save_adapter(store.adapter(store.find(self.person, self.step)), self.out, self.layout)
        print(self.out)
        return 0


def _check_place(out: str) -> None:
    """Check that a zoo can be written to a folder; storage behind a URL tells by itself."""
    from loraleak.outputs import check_work

    if "://" not in out:
        check_work(Path(out))


def _not_used(people: Path) -> Iterator[str]:
    """Lines on the images that no adapter is trained on, because of where they stand."""
    from loraleak.people import identity_folders, list_photos, stray_images

    homes = identity_folders(people)
    if stray := stray_images(people):
        named = printable(", ".join(stray[:5]), 300)
        yield f"not used: {named}{' and more' if len(stray) > 5 else ''}: outside the folders of people, so of nobody"
    for home in homes:
        if home != people:
            for unused in list_photos(home).unused:
                yield f"not used: {printable(home.name)}/{unused.line}"


def _store_class() -> "type[Store]":
    with needs_extra("zoo", "pyarrow", why="the zoo is not installed"):
        from loraleak.zoo import Zoo as Store
    return Store


@dataclass(frozen=True)
class Zoo:
    """Many people's adapters: build, defend, verify, export."""

    job: (
        Annotated[Build, tyro.conf.subcommand("build")]
        | Annotated[Defend, tyro.conf.subcommand("defend")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[Export, tyro.conf.subcommand("export")]
    )

    def run(self) -> int:
        return self.job.run()
