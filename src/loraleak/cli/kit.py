"""`loraleak kit`: all that an adversary has learned for one base, in one file."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.checks import out_of_bounds, refuse
from loraleak.cli.extras import needs_extra
from loraleak.cli.flags import Out
from loraleak.finetuning import Recipe
from loraleak.kit_building import KitSettings

__all__ = ["Kit"]


@dataclass(frozen=True)
class Build:
    """Makes a kit from a folder of people. It prints first what it will take, and a stopped build goes on.

    Example: loraleak kit build --base BASE --people people -o kit.safetensors --work kit-work
    """

    after_interrupt: ClassVar[str] = "finished parts are kept in --work; the same command goes on from there"

    people: Path
    """Folder of identity folders: <person>/<image>.png. A split by person is made of it."""
    out: Out = Path("kit.safetensors")
    """The kit to write."""
    work: Path = Path("kit-work")
    """Folder for the split, the zoo, checkpoints and adapters. It holds what was learned of real people: keep it to yourself."""
    workers: int = 0
    """Processes on this machine that build the zoo. 0 means one for each core, or one where there is a GPU."""
    together: int = 0
    """Adapters of the zoo that train in one batch. 0 means 16 on a CPU, and as many as fit into its memory on a GPU."""
    ray: str = ""
    """Address of a Ray cluster that builds the zoo, or `local` for a cluster on this machine."""
    zoo: str = ""
    """Folder of the zoo, or a URL that fsspec knows, such as s3://bucket/zoo, that all workers reach. The default is in --work."""
    overwrite: bool = False
    """Replace the kit that is there under this name."""
    json: bool = False
    """Print the card as JSON on stdout."""
    settings: KitSettings = field(default_factory=KitSettings)

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"together": (0, 4096), "workers": (0, 1024)}))

    def run(self) -> int:
        from loraleak.outputs import check_new, check_room, check_work, save

        check_new(self.out, overwrite=self.overwrite)
        check_work(self.work)
        with needs_extra("train", "accelerate", "pyarrow", "tensorboard", why="training is not installed"):
            from loraleak.kit_building import Machines, build_kit, forecast_kit
            from loraleak.zoo import Site, adapters_together, local_workers, ray_tasks, recorded_together
        from loraleak.bases import load_base
        from loraleak.defences import UNDEFENDED
        from loraleak.kits import read_kit, save_kit
        from loraleak.progress import announce
        from loraleak.zoo import ShardBuilder

        base = load_base(**self.settings.choices)
        recorded = recorded_together(self.zoo or self.work / "zoo")
        together = self.together or recorded or adapters_together(base, self.settings.ranges, UNDEFENDED)
        workers = self.workers or (os.cpu_count() or 1 if base.device.type == "cpu" else 1)
        forecast = forecast_kit(self.settings, self.people, base, together=together, workers=workers)
        announce(forecast.says)
        check_room(self.work, forecast.disk)

        def builder(site: Site) -> ShardBuilder | None:
            if self.ray:
                return ray_tasks(site, self.ray)
            return local_workers(site, workers) if workers > 1 else None

        made = build_kit(self.settings, self.people, self.work, base, Machines(builder, together, self.zoo))
        save(self.out, lambda place: save_kit(made, place))
        _show(read_kit(self.out), as_json=self.json)
        return 0


@dataclass(frozen=True)
class Show:
    """Prints the card of a kit: what it is for, from whom it was made, what audits with it find.

    Example: loraleak kit show pocket
    """

    kit: Positional[str]
    """A file, a hub id, or `pocket` for the kit that ships."""
    json: bool = False
    """Print the card as JSON on stdout."""

    def run(self) -> int:
        from loraleak.kits import located, read_kit

        _show(read_kit(located(self.kit)), as_json=self.json)
        return 0


@dataclass(frozen=True)
class Verify:
    """Measures again what audits with a kit find, on people that you give, none of whom the kit was made from.

    Example: loraleak kit verify kit.safetensors --people people --base BASE
    """

    after_interrupt: ClassVar[str] = "finished people are kept in --work; the same command goes on with the others"

    kit: Positional[str]
    """A file, a hub id, or `pocket` for the kit that ships."""
    people: Path
    """Folder of identity folders: <person>/<image>.png."""
    work: Path = Path("kit-check")
    """Folder for adapters and what the arms make of them."""
    most: int | None = None
    """Most people to take. The default is all."""
    photos: int = 5
    """Photos that each adapter is trained on. Each person needs one more."""
    images: int = 8
    """Pictures of each arm."""
    json: bool = False
    """Print the quality as JSON on stdout."""
    recipe: Recipe = field(default_factory=Recipe)
    base: BaseSettings = field(default_factory=BaseSettings)

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"most": (2, 100_000), "photos": (2, 1000), "images": (2, 4096)}))

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        from loraleak.bases import load_base
        from loraleak.embedders import load_embedder
        from loraleak.kit_building import verify_kit
        from loraleak.kits import located, quality_lines, read_kit

        kit = read_kit(located(self.kit))
        quality = verify_kit(
            kit,
            self.people,
            self.work,
            load_base(**self.base.choices),
            load_embedder(kit.card.embedder),
            recipe=self.recipe,
            photos=self.photos,
            images=self.images,
            most=self.most,
        )
        print(json.dumps(asdict(quality)) if self.json else "\n".join(quality_lines(quality)))
        return 0


@dataclass(frozen=True)
class AddReaders:
    """Adds readers of weights to a kit: small maps from a file to traits in words and to the number of photos.

    Example: loraleak kit readers kit.safetensors --zoos zoo --people people -o kit-with-readers.safetensors
    """

    kit: Positional[str]
    """A file, a hub id, or `pocket` for the kit that ships."""
    zoos: tuple[str, ...]
    """Zoos of the kit's base to learn from, by folder or URL."""
    people: tuple[Path, ...]
    """Folders of the people that the zoos were built from, one for each zoo or one for all. Traits are those in person.json, under
    `attributes`."""
    out: Out = Path("kit.safetensors")
    """The kit to write."""
    kept_apart: int = 60
    """People from whom nothing is learned, on whom the readers are measured."""
    seed: int = 0
    """Seed of the choice of these people."""
    overwrite: bool = False
    """Replace the kit that is there under this name."""
    json: bool = False
    """Print the card as JSON on stdout."""

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"kept_apart": (2, 100_000)}))

    def run(self) -> int:
        from loraleak.outputs import check_new, save

        check_new(self.out, overwrite=self.overwrite)
        with needs_extra("zoo", "pyarrow", why="the zoo is not installed"):
            from loraleak.kit_building import with_readers
            from loraleak.zoo import Zoo
        from loraleak.kits import located, read_kit, save_kit
        from loraleak.people import identities_in

        people = [identities_in(folder) for folder in self.people]
        zoos = [Zoo(zoo) for zoo in self.zoos]
        made = with_readers(read_kit(located(self.kit)), zoos, people, kept_apart=self.kept_apart, seed=self.seed)
        save(self.out, lambda place: save_kit(made, place))
        _show(read_kit(self.out), as_json=self.json)
        return 0


@dataclass(frozen=True)
class Install:
    """Checks a kit and keeps it on this machine, so that every audit on its base finds it.

    Example: loraleak kit install kit.safetensors
    """

    kit: Positional[str]
    """A file, or a hub id."""
    json: bool = False
    """Print the place as JSON on stdout."""

    def run(self) -> int:
        from loraleak.kits import install

        kit, file = install(self.kit)
        print(json.dumps({"base_sha256": kit.card.base_sha256, "file": str(file)}) if self.json else str(file))
        return 0


@dataclass(frozen=True)
class Kit:
    """All that an adversary has learned for one base: build, show, verify, readers, install."""

    job: (
        Annotated[Build, tyro.conf.subcommand("build")]
        | Annotated[Show, tyro.conf.subcommand("show")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[AddReaders, tyro.conf.subcommand("readers")]
        | Annotated[Install, tyro.conf.subcommand("install")]
    )

    def run(self) -> int:
        return self.job.run()


def _show(kit: "object", *, as_json: bool) -> None:
    from loraleak.kits import Kit as Stored
    from loraleak.kits import as_json as of_kit
    from loraleak.kits import as_lines

    assert isinstance(kit, Stored)
    print(json.dumps(of_kit(kit)) if as_json else "\n".join(as_lines(kit)))
