"""`loraleak bench`: attacks over held-out people."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional

from loraleak.bench import ArmsBench, LeaksSettings, PaperBench, ProbeSettings, SampleSettings
from loraleak.cli.extras import needs_extra
from loraleak.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Bench"]

_GRID = ArmsBench(
    victims=30,
    gallery=200,
    arms=("lora-class", "lora-guidance", "lora-universal-z", "base-z", "lora-z", "lora-trigger"),
    sampling=SampleSettings(images=4),
)
"""Settings of a grid's variants. There are many, so each is smaller than a bench of arms."""


@dataclass(frozen=True)
class Arms:
    """Fine-tunes on many synthetic victims, samples every arm, and tells how often the right person is found.

    Example: loraleak bench arms --victims 10 --work bench
    """

    after_interrupt: ClassVar[str] = "finished victims are kept; the same command goes on with the others"

    work: Path = Path("bench")
    """Folder for finished victims, from which a stopped bench goes on, and for the results, arms.json."""
    json: bool = False
    """Print the results as JSON on stdout."""
    settings: ArmsBench = field(default_factory=ArmsBench)

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        from loraleak.bench import bench_arms
        from loraleak.files import write_json

        results = bench_arms(self.settings, self.work / "cases")
        write_json(self.work / "arms.json", results)
        print(json.dumps(results)) if self.json else _print_arms(results)
        return 0


@dataclass(frozen=True)
class Probe:
    """Predicts traits of unseen people from adapters alone, by ridge regression, without any picture.

    Example: loraleak bench probe zoo --people people
    """

    zoos: Positional[tuple[str, ...]]
    """One zoo or more, of one base, by folder or URL."""
    people: Path
    """Folder of the people that the zoos were built from, with the true traits of each in person.json, under `attributes`."""
    work: Path = Path("bench")
    """Folder for the results, probe.json."""
    json: bool = False
    """Print the results as JSON on stdout."""
    settings: ProbeSettings = field(default_factory=ProbeSettings)

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        with needs_extra("zoo", "pyarrow", why="the zoo is not installed"):
            from loraleak.bench import probe_weights
            from loraleak.zoo import Zoo
        from loraleak.files import write_json
        from loraleak.people import identities_in

        results = probe_weights([Zoo(zoo) for zoo in self.zoos], identities_in(self.people), self.settings)
        write_json(self.work / "probe.json", results)
        print(json.dumps(results)) if self.json else _print_probe(results)
        return 0


@dataclass(frozen=True)
class Leaks:
    """Learns readers of weights from zoos, and tells on people kept apart how well they read traits and the number of photos.

    Example: loraleak bench leaks zoo --people people
    """

    zoos: Positional[tuple[str, ...]]
    """One zoo or more, of one base, by folder or URL."""
    people: tuple[Path, ...]
    """Folders of the people that the zoos were built from, one for each zoo or one for all. Traits are those in person.json, under
    `attributes`."""
    work: Path = Path("bench")
    """Folder for the results, leaks.json."""
    json: bool = False
    """Print the results as JSON on stdout."""
    settings: LeaksSettings = field(default_factory=LeaksSettings)

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        with needs_extra("zoo", "pyarrow", why="the zoo is not installed"):
            from loraleak.bench import bench_leaks
            from loraleak.zoo import Zoo
        from loraleak.files import write_json
        from loraleak.people import identities_in

        people = [identities_in(folder) for folder in self.people]
        results = bench_leaks([Zoo(zoo) for zoo in self.zoos], people, self.settings)
        write_json(self.work / "leaks.json", results)
        print(json.dumps(results)) if self.json else _print_leaks(results)
        return 0


@dataclass(frozen=True)
class Grid:
    """Runs the bench of arms over variants of fine-tuning, with one table row for each variant.

    Example: loraleak bench grid transfer --victims 12 --work bench
    """

    after_interrupt: ClassVar[str] = "finished victims are kept; the same command goes on with the others"

    over: Positional[Literal["transfer", "intensity"]]
    """Variants: `transfer` has recipes and people that the attack was not made for, `intensity` has steps x rank x images."""
    work: Path = Path("bench")
    """Folder for finished victims, from which a stopped bench goes on, and for <over>.json, intensity.png and .svg."""
    json: bool = False
    """Print the results as JSON on stdout."""
    settings: ArmsBench = _GRID
    """The usual variant, from which the others differ."""

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        from loraleak.bench import bench_grid, draw_intensity, intensity, transfer
        from loraleak.files import write_json

        variants = transfer(self.settings) if self.over == "transfer" else intensity(self.settings)
        results = bench_grid(variants, self.work / "cases")
        write_json(self.work / f"{self.over}.json", results)
        print(json.dumps(results)) if self.json else _print_grid(results)
        if self.over == "intensity":
            with needs_extra("figures", "matplotlib", why="all is written but the figure"):
                draw_intensity(results, self.work / self.over)
        return 0


@dataclass(frozen=True)
class Paper:
    """Compares defences against attacks at several numbers of photos: what each takes from strangers and from the owner.

    Example: loraleak bench paper --photos 5 --victims 8 --defences gaussian-noise:level=2 --work bench
    """

    after_interrupt: ClassVar[str] = "finished victims are kept; the same command goes on with the others"

    also: tuple[Path, ...] = ()
    """Parquet files of other runs, on other machines or with fewer victims, for the same tables and figure."""
    work: Path = Path("bench")
    """Folder for finished victims, from which a stopped bench goes on, and for paper.parquet, paper.md, paper.png and .svg."""
    json: bool = False
    """Print the summaries as JSON on stdout."""
    settings: PaperBench = field(default_factory=PaperBench)

    def run(self) -> int:
        from loraleak.outputs import check_work

        check_work(self.work)
        with needs_extra("zoo", "pyarrow", why="Parquet is not installed"):
            import pyarrow.parquet as parquet

            from loraleak.bench import bench_paper, joined
        from loraleak.bench import as_markdown, draw_pareto, summaries
        from loraleak.files import replacing, write_text

        others = [_read_rows(file) for file in self.also]
        rows = joined(bench_paper(self.settings, self.work / "cases"), *others)
        with replacing(self.work / "paper.parquet") as partial:
            parquet.write_table(rows, partial)
        cells = summaries(rows)
        write_text(self.work / "paper.md", as_markdown(cells))
        print(json.dumps([asdict(cell) for cell in cells]) if self.json else as_markdown(cells))
        with needs_extra("figures", "matplotlib", why="all is written but the figure"):
            draw_pareto(cells, self.work / "paper")
        return 0


@dataclass(frozen=True)
class Bench:
    """Attacks over held-out people: arms, grid, leaks, paper, probe."""

    job: (
        Annotated[Arms, tyro.conf.subcommand("arms")]
        | Annotated[Grid, tyro.conf.subcommand("grid")]
        | Annotated[Leaks, tyro.conf.subcommand("leaks")]
        | Annotated[Paper, tyro.conf.subcommand("paper")]
        | Annotated[Probe, tyro.conf.subcommand("probe")]
    )

    def run(self) -> int:
        return self.job.run()


_COLUMNS = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "tar_at_1_far": "TAR@1%FAR",
    "cosine": "cosine",
    "paper_scale": "paper's scale",
}


def _read_rows(file: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from loraleak.bench import ROWS

    try:
        return parquet.read_table(file, schema=ROWS, use_threads=False, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        fault = f"it holds no rows of `bench paper` ({type(error).__name__})"
        raise UsageError(fault, path=file, remedy="give a paper.parquet") from error


def _print_arms(results: dict[str, Any]) -> None:
    print(f"{results['victims']} victims among {results['gallery']} people; 95% intervals over victims")
    print(f"{'arm':<40}" + "".join(f"{title:>22}" for title in _COLUMNS.values()))
    for name, arm in results["arms"].items():
        print(f"{name:<40}" + "".join(f"{_shown(arm[column]):>22}" for column in _COLUMNS))
    for name, effect in results["effects"].items():
        print(f"{name + ' effect':<40}" + "".join(f"{_shown(effect[column]):>22}" for column in _COLUMNS))
    for name in ("own_photos", "other_persons_photos"):
        if name in results["verdict"]:
            row = results["verdict"][name]
            print(f"verdict, {name.replace('_', ' ')}: flagged {_shown(row['flagged'])}, high {_shown(row['high'])}")


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['mean']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def _print_grid(results: dict[str, Any]) -> None:
    first = next(iter(results["rows"].values()))
    print(f"rank-1 of {results['victims']} victims among {results['gallery']} people; 95% intervals over victims")
    print(f"{'':<34}" + "".join(f"{arm:>22}" for arm in first["arms"]))
    for name, row in results["rows"].items():
        print(f"{name:<34}" + "".join(f"{_shown(arm['rank1']):>22}" for arm in row["arms"].values()))


def _print_probe(results: dict[str, Any]) -> None:
    traits = list(results["majority"])
    print(f"{results['unseen']} unseen people; 95% intervals over them")
    print(f"{'':<22}" + "".join(f"{trait:>20}" for trait in traits) + f"{'all of them':>20}")
    print(f"{'majority class':<22}" + "".join(f"{_shown(results['majority'][trait]):>20}" for trait in traits))
    for knowledge, table in results["knowledge"].items():
        for people, row in table.items():
            print(f"{knowledge + ', ' + people + ' people':<22}" + "".join(f"{_shown(row[t]):>20}" for t in [*traits, "all"]))


def _print_leaks(results: dict[str, Any]) -> None:
    measured = results["measured"]
    print(f"learned from {results['people']} people; {measured['people']} people kept apart, 95% intervals over them")
    print(f"{'trait':<16}{'right':>20}{'most usual word':>20}")
    for trait, right in measured["right"].items():
        print(f"{trait:<16}{_shown(right):>20}{_shown(measured['majority'][trait]):>20}")
    if measured["calibration_error"] is not None:
        print(f"calibration error {_shown(measured['calibration_error'])}")
    print("number of photos, error as a power of 2:")
    for name, row in {"reader": measured["size_error"], "guess": measured["size_guess"], "DSiRe": results["dsire"]}.items():
        print(f"{name:<16}{_shown(row):>20}")
    print(f"within its bounds {_shown(measured['size_covered'])}")
