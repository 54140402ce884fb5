"""`loraleak zoo`: many people's adapters."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from loraleak.errors import MissingExtraError
from loraleak.zoo.ranges import RecipeRanges

if TYPE_CHECKING:
    from loraleak.zoo.store import Zoo as Store

__all__ = ["Zoo"]


@dataclass(frozen=True)
class Build:
    """Fine-tunes an adapter on every identity folder; a stopped build goes on, and damaged shards are made anew."""

    people: Positional[Path]
    """Folder of identity folders: <person>/<image>.png."""
    out: Path = Path("zoo")
    """The zoo's folder."""
    base: str = "pocket"
    """`pocket`, a diffusers pipeline folder, or a hub id."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    seed: int = 0
    together: int = 16
    """Adapters that train in one batch, and make one shard."""
    json: bool = False
    """Print what was made as JSON on stdout."""
    ranges: RecipeRanges = field(default_factory=RecipeRanges)

    def run(self) -> int:
        store_class = _store_class()
        from loraleak.bases import load_base
        from loraleak.zoo.build import build_zoo
        from loraleak.zoo.plan import plan_zoo

        plan = plan_zoo(self.people, self.ranges, seed=self.seed, together=self.together)
        failures = build_zoo(plan, self.people, self.out, load_base(self.base, device=self.device))
        store = store_class(self.out)
        people = len(set(store.manifest["person"].to_pylist()))
        facts = {
            "zoo": str(self.out),
            "people": people,
            "snapshots": len(store),
            "failed": [vars(failure) for failure in failures],
        }
        if self.json:
            print(json.dumps(facts))
        else:
            print(f"{self.out}: {people} people, {len(store)} snapshots, {len(failures)} people failed")
            for failure in failures:
                print(f"  {failure.person}: {failure.reason}")
        return 1 if failures else 0


@dataclass(frozen=True)
class Verify:
    """Reads every byte of a zoo and lists shards that are missing or damaged; `zoo build` makes those anew."""

    zoo: Positional[Path]
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
    """Writes one snapshot as an adapter file."""

    zoo: Positional[Path]
    person: Positional[str]
    step: int | None = None
    """After how many steps; the last snapshot where none is given."""
    out: Path = Path("adapter.safetensors")
    """The adapter to write: a .safetensors file (diffusers layout), or a folder (PEFT layout)."""
    layout: Literal["diffusers", "peft"] = "diffusers"

    def run(self) -> int:
        from loraleak.adapters import save_adapter

        store = _store_class()(self.zoo)
        save_adapter(store.adapter(store.find(self.person, self.step)), self.out, self.layout)
        print(self.out)
        return 0


def _store_class() -> "type[Store]":
    try:
        from loraleak.zoo.store import Zoo as Store
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise MissingExtraError("the zoo is not installed: run pip install 'loraleak[zoo]'") from error
    return Store


@dataclass(frozen=True)
class Zoo:
    """Many people's adapters: build, verify, export."""

    job: (
        Annotated[Build, tyro.conf.subcommand("build")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[Export, tyro.conf.subcommand("export")]
    )

    def run(self) -> int:
        return self.job.run()
