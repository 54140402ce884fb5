"""The paper's experiment: every defence and setting, at several numbers of private images, against every attack arm.

It gives rows for Parquet, one for each victim, arm, defence and number of images. `pareto` makes tables and figures of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from loraleak.arms import Arm, select_arms
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.bench_settings import PaperBench
from loraleak.bench.captioned import Captioned, captioned_cases, share_right
from loraleak.bench.cases import Case, CaseSettings, bench_cases, person_on, templates
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.defences import UNDEFENDED, in_training, parse_defence
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.finetuning import secret_seed
from loraleak.inversion import WeightAutoencoder
from loraleak.kits import Kit, attack_for, kit_for
from loraleak.scores import gallery_ranks, mean_cosine

__all__ = ["CEILING", "FLOOR", "ROWS", "Cell", "bench_paper", "cells", "joined"]

FLOOR, CEILING = "base-class", "lora-trigger"

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
"""`kind`: none, post-hoc or training-time. `adversary`: static, or adaptive where the attack was trained on defended adapters.
In rows of `lora-captions`, `rank1` is the share of pictures that show whom their caption describes; other scores are empty."""


@dataclass(frozen=True)
class Cell:
    """One number of photos under one defence."""

    photos: int
    defence: str
    """Empty for none."""
    attack: str | None = None
    """File of an adaptive adversary's attack; None for the usual one."""


def cells(settings: PaperBench) -> list[Cell]:
    """Cells in the order in which they run: undefended ones first, each adaptive adversary's after its defence's usual one."""
    made = []
    for photos, defence in product(settings.photos, ("", *settings.compared)):
        made.append(Cell(photos, defence))
        if defence in settings.adaptive:
            made.append(Cell(photos, defence, settings.adaptive[defence]))
    return made


def bench_paper(settings: PaperBench, folder: Path) -> pa.Table:
    """Run every cell in turn, and give rows as in `ROWS`. `folder` keeps what a stopped run has sampled.

    All cells of a number of photos have the same victims, photos, triggers, seeds and initial noise. The floor is sampled only
    without a defence, because no defence can change it.
    Raises: UsageError, before any work, if an arm or a defence cannot be compared.
    """
    _check(settings)
    base = load_base(**settings.choices)
    embedder = load_embedder(settings.embedder)
    kit = kit_for(base, settings.kit)
    people = _People.of(settings, embedder, kit, folder)
    attack = attack_for(base, settings.attack, kit)
    rows: list[dict[str, object]] = []
    todo = cells(settings)
    for number, cell in enumerate(todo, start=1):
        title = f"cell {number} of {len(todo)}, {cell.photos} photos, {cell.defence or 'no defence'}: "
        rows += _cell_rows(settings, cell, people, base, embedder, attack, folder, title)
    return pa.Table.from_pylist(rows, schema=ROWS)


def _check(settings: PaperBench) -> None:
    for defence in settings.compared:
        parse_defence(defence)
    others = [arm.name for arm in _chosen(settings.arms) if arm.role != "attack"]
    if others:
        raise UsageError(f"{', '.join(others)}: no attack, and only attacks are compared; `bench arms` samples the others")


def joined(rows: pa.Table, *others: pa.Table) -> pa.Table:
    """Rows of several runs, such as runs on other machines or with fewer victims. The first run counts where two hold a row.

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
    described: Float[np.ndarray, "captions dim"] | None
    """Drawn people whom captions describe; None among people of a folder, of whom nobody has a caption."""

    @classmethod
    def of(cls, settings: PaperBench, embedder: Embedder, kit: Kit | None, folder: Path) -> "_People":
        cases = bench_cases(settings, embedder, kit, folder)
        seed, private = settings.sampling.seed, max(settings.photos)
        described = None if settings.people else templates(captioned_cases(), embedder, seed=seed, private=private)
        gallery = templates(cases, embedder, seed=seed, private=private)
        return cls(cases[: settings.victims], gallery, described)


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
    defence = parse_defence(cell.defence) if cell.defence else UNDEFENDED
    here = CaseSettings.of(settings, cell.photos)
    if cell.attack is not None:
        attack = attack_for(base, cell.attack)
    arms = [arm for arm in _chosen(settings.arms) if cell.attack is None or "attack" in arm.needs]
    if cell.attack is None:
        arms += _chosen((CEILING,) if cell.defence else (FLOOR, CEILING))
        arms += [] if people.described is None else [Captioned()]
    roles = {arm.name: arm.role for arm in arms}
    # of the mechanism, where an owner's seed is secret; those of the bench are known, so that it can be run again
    by_secret_seed = replace(here.recipe, seed=secret_seed())
    promised = in_training(defence).guarantee(by_secret_seed, cell.photos)
    facts = {
        "photos": cell.photos,
        "defence": cell.defence,
        "kind": defence.stage if cell.defence else "none",
        "adversary": "static" if cell.attack is None else "adaptive",
        "epsilon_image": promised.epsilon_image,
        "epsilon_person": promised.epsilon_person,
        "gallery": len(people.gallery),
    }
    results = run_cases(base, embedder, people.victims, arms, here, folder, attack, defence=defence, title=title)
    for case, result in zip(people.victims, results, strict=True):
        photos = person_on(result.private_images, embedder).vectors
        for name, made in result.arms.items():
            scores = (
                _captioned(case, made, people, here) if name == Captioned.name else _scores(case, result, name, photos, people)
            )
            yield {**facts, "victim": case.index, "arm": name, "role": roles[name], "images": len(made), **scores}


def _chosen(names: Sequence[str]) -> list[Arm]:
    """Arms of these names, without the controls that the bench of arms adds."""
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
    assert people.described is not None
    shown = Captioned.shown(here.seed + case.index, len(made))
    return {"rank1": share_right(made, people.described[shown], people.gallery)}
