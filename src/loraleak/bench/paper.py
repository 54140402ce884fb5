"""The paper's experiment: every defence and setting, at several numbers of private images, against every attack arm.

Out: rows, one a victim, an arm, a defence and a number of images, for Parquet; `bench/pareto.py` makes tables and figures of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from loraleak.arms import Arm, DecodesZ, select_arms
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.captioned import Captioned, captioned_cases, share_right
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases, templates
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.defences import PostHoc, parse_defence
from loraleak.defences.protocol import NO_PROMISE
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.inversion.weight_autoencoder import WeightAutoencoder, attack_for
from loraleak.scores import gallery_ranks, mean_cosine

__all__ = ["CEILING", "DEFENCES", "FLOOR", "ROWS", "Cell", "PaperBench", "bench_paper", "cells", "joined"]

FLOOR, CEILING = "base-class", "lora-trigger"

_PRIVATE = "fewer-factors:rank=1,targets=cross-attention+dp-sgd:epsilon={epsilon},batch=20,multiplicity=1,learning_rate=0.02"
"""DP-SGD as it keeps the most use, of what `benchmarks/private_settings.py` tries."""

DEFENCES = (
    "gaussian-noise:level=1",
    "gaussian-noise:level=1.5",
    "gaussian-noise:level=2",
    "gaussian-noise:level=3",
    "rank-truncation:rank=2",
    "rank-truncation:rank=1",
    "scaling:factor=0.5",
    "scaling:factor=0.3",
    "quantisation:bits=3",
    "quantisation:bits=2",
    "spectral-alignment:keep=0.5",
    "spectral-alignment:keep=0.25",
    "random-refactoring",
    "early-stopping:share=0.4",
    "early-stopping:share=0.2",
    "fewer-factors:rank=1",
    "random-prompts:words=2",
    "smp-lora:weight=10",
    "dp-mmd:epsilon=8",
    _PRIVATE.format(epsilon=50),
    _PRIVATE.format(epsilon=8),
)
"""What is compared when nobody says otherwise; from mild to strong within a defence."""

ROWS = pa.schema(
    {
        "photos": pa.int32(),
        "defence": pa.string(),
        "kind": pa.string(),
        "adversary": pa.string(),
        "epsilon_image": pa.float64(),
        "epsilon_person": pa.float64(),
        "gallery": pa.int32(),
        "victim": pa.int32(),
        "arm": pa.string(),
        "role": pa.string(),
        "images": pa.int32(),
        "rank1": pa.float64(),
        "rank5": pa.float64(),
        "cosine": pa.float64(),
    },
    metadata={"schema": "loraleak.bench-paper/1"},
)
"""`kind`: none, post-hoc or training-time. `adversary`: static, or adaptive where the attack was trained on defended adapters. Of
`lora-captions`, `rank1` is the share of pictures that show whom their caption describes, and the others are empty."""


@dataclass(frozen=True)
class PaperBench:
    """Which cells, and how large."""

    victims: int = 50
    gallery: int = 1000
    """People among whom each victim is looked for; the victims are some of them."""
    photos: tuple[int, ...] = (5, 20, 100)
    """Private images a person."""
    defences: tuple[str, ...] = DEFENCES
    """By name, with settings; no defence is always among the cells."""
    arms: tuple[str, ...] = ("lora-class", "lora-universal-z", "base-z", "lora-z", "lora-z-key")
    """Attack arms."""
    adaptive: Mapping[str, str] = field(default_factory=dict)
    """By defence, an attack that was trained on a zoo with it: tried beside the usual one."""
    attack: str | None = None
    """A weight autoencoder; None takes the one that ships for pocket."""
    base: str = "pocket"
    embedder: str = "pocket"
    device: str = "auto"
    cases: CaseSettings = field(default_factory=CaseSettings)

    def __post_init__(self) -> None:
        faults = []
        if not 2 <= self.victims <= self.gallery:
            faults.append(f"{self.victims} victims in a gallery of {self.gallery}: give at least 2, and a gallery no smaller")
        if not self.photos or min(self.photos) < 1:
            faults.append("give at least one number of photos, each at least 1")
        faults += [f"{arm.name} is no attack" for arm in _chosen(self.arms) if arm.role != "attack"]
        faults += [f"{name!r} is adaptive and not among the defences" for name in self.adaptive if name not in self.defences]
        if faults:
            raise UsageError("; ".join(faults))


@dataclass(frozen=True)
class Cell:
    """One number of photos under one defence."""

    photos: int
    defence: str
    """Empty for none."""
    attack: str | None = None
    """Of an adaptive adversary; None for the usual one."""


def cells(settings: PaperBench) -> list[Cell]:
    """Undefended cells first; of adaptive adversaries after the same defence's own."""
    made = []
    for photos, defence in product(settings.photos, ("", *settings.defences)):
        made.append(Cell(photos, defence))
        if defence in settings.adaptive:
            made.append(Cell(photos, defence, settings.adaptive[defence]))
    return made


def bench_paper(settings: PaperBench, folder: Path) -> pa.Table:
    """Every cell in turn; whatever a stopped run has sampled is kept in `folder`. Rows are as `ROWS`.

    All cells of a number of photos have the same victims, photos, triggers, seeds and initial noise. The floor, which no defence
    can change, is sampled without one only.
    """
    for defence in settings.defences:
        parse_defence(defence)  # before hours of work
    base = load_base(settings.base, device=settings.device)
    embedder = load_embedder(settings.embedder)
    people = _People.drawn(settings, embedder)
    attack = attack_for(base, settings.attack)
    rows: list[dict[str, object]] = []
    todo = cells(settings)
    for number, cell in enumerate(todo, start=1):
        title = f"cell {number} of {len(todo)}, {cell.photos} photos, {cell.defence or 'no defence'}: "
        rows += _cell_rows(settings, cell, people, base, embedder, attack, folder, title)
    return pa.Table.from_pylist(rows, schema=ROWS)


def joined(rows: pa.Table, *others: pa.Table) -> pa.Table:
    """Rows of several runs, such as of other machines or of fewer victims; where two hold the same, the first one's.

    Raises: UsageError, if they cannot stand in one table.
    """
    for table in others:
        if table.schema != ROWS:
            raise UsageError("rows of another version of `bench paper` cannot be joined: run it again")
        if {*rows["gallery"].to_pylist()} != {*table["gallery"].to_pylist()}:
            raise UsageError("runs with galleries of different sizes cannot be joined: give the same --gallery")
    kept: dict[tuple[object, ...], dict[str, object]] = {}
    for table in (rows, *others):
        for row in table.to_pylist():
            kept.setdefault(tuple(row[name] for name in ("photos", "defence", "adversary", "victim", "arm")), row)
    order = {
        cell: number for number, cell in enumerate(dict.fromkeys((row["photos"], row["defence"]) for row in kept.values()))
    }
    return pa.Table.from_pylist(sorted(kept.values(), key=lambda row: order[row["photos"], row["defence"]]), schema=ROWS)


@dataclass(frozen=True)
class _People:
    """Templates of everybody, from looks that no adapter was trained on."""

    victims: list[Case]
    gallery: Float[np.ndarray, "people dim"]
    described: Float[np.ndarray, "captions dim"]

    @classmethod
    def drawn(cls, settings: PaperBench, embedder: Embedder) -> "_People":
        cases, seed = draw_cases("victims", settings.gallery, seed=VICTIM_SEED), settings.cases.seed
        described = templates(captioned_cases(), embedder, seed=seed)
        return cls(cases[: settings.victims], templates(cases, embedder, seed=seed), described)


def _cell_rows(
    settings: PaperBench,
    cell: Cell,
    people: _People,
    base: DiffusersBase,
    embedder: Embedder,
    attack: WeightAutoencoder | None,
    folder: Path,
    title: str,
) -> Iterator[dict[str, object]]:
    defence = parse_defence(cell.defence) if cell.defence else None
    here = replace(settings.cases, photos=cell.photos)
    if cell.attack is not None:
        attack = attack_for(base, cell.attack)
    arms = [arm for arm in _chosen(settings.arms) if cell.attack is None or isinstance(arm, DecodesZ)]
    if cell.attack is None:
        arms += [*_chosen((CEILING,) if cell.defence else (FLOOR, CEILING)), Captioned()]
    roles = {arm.name: arm.role for arm in arms}
    promised = NO_PROMISE if defence is None or isinstance(defence, PostHoc) else defence.guarantee(here.recipe, cell.photos)
    facts = {
        "photos": cell.photos,
        "defence": cell.defence,
        "kind": "none" if defence is None else "post-hoc" if isinstance(defence, PostHoc) else "training-time",
        "adversary": "static" if cell.attack is None else "adaptive",
        "epsilon_image": promised.epsilon_image,
        "epsilon_person": promised.epsilon_person,
        "gallery": len(people.gallery),
    }
    results = run_cases(base, embedder, people.victims, arms, here, folder, attack, defence=defence, title=title)
    for case, result in zip(people.victims, results, strict=True):
        photos = embedder.embed(list(result.private_images))
        for name, made in result.arms.items():
            scores = (
                _captioned(case, made, people, here) if name == Captioned.name else _scores(case, result, name, photos, people)
            )
            yield {**facts, "victim": case.index, "arm": name, "role": roles[name], "images": len(made), **scores}


def _chosen(names: Sequence[str]) -> list[Arm]:
    """These arms alone, without the controls of the bench of arms."""
    return [arm for arm in select_arms(names) if arm.name in names]


def _scores(
    case: Case, result: CaseResult, arm: str, photos: Float[np.ndarray, "photos dim"], people: _People
) -> dict[str, float]:
    made = result.arms[arm]
    ranks = gallery_ranks(made, people.gallery, case.index)
    return {
        "rank1": float(np.mean(ranks == 0)),
        "rank5": float(np.mean(ranks < 5)),
        "cosine": float(mean_cosine(made, photos).mean()),
    }


def _captioned(case: Case, made: Float[np.ndarray, "images dim"], people: _People, here: CaseSettings) -> dict[str, float]:
    shown = Captioned.shown(here.seed + case.index, len(made))
    return {"rank1": share_right(made, people.described[shown], people.gallery)}
