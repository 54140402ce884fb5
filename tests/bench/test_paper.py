"""The paper's experiment at the size of a test, and its summaries against hand-made rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loraleak.bench.bench_settings import DEFENCES, PaperBench, SampleSettings
from loraleak.bench.captioned import Captioned, captioned_cases, share_right
from loraleak.bench.cases import draw_cases
from loraleak.bench.paper import ROWS, bench_paper, cells, joined
from loraleak.bench.pareto import as_markdown, draw_pareto, summaries
from loraleak.defences import parse_defence, spelled
from loraleak.defences.undefended import Undefended
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe

_RECIPE = Recipe(steps=2, rank=2, alpha=2.0, batch=1, prior_batch=0)


def _row(defence: str, victim: int, arm: str, rank1: float, adversary: str = "static") -> dict[str, object]:
    role = {"base-class": "floor", "lora-trigger": "ceiling", "lora-captions": "ceiling"}.get(arm, "attack")
    kind = "post-hoc" if defence else "none"
    return {
        "photos": 5,
        "defence": defence,
        "kind": kind,
        "adversary": adversary,
        "gallery": 10,
        "victim": victim,
        "arm": arm,
        "role": role,
        "images": 4,
        "rank1": rank1,
    }


def _rows() -> pa.Table:
    found = {
        ("", "base-class"): (0.0, 0.25),
        ("", "lora-class"): (0.25, 0.25),
        ("", "lora-z"): (1.0, 0.75),
        ("", "lora-trigger"): (0.75, 0.75),
        ("", "lora-captions"): (1.0, 1.0),
        ("scaling:factor=0.5", "lora-class"): (0.25, 0.5),
        ("scaling:factor=0.5", "lora-z"): (0.0, 0.25),
        ("scaling:factor=0.5", "lora-trigger"): (0.5, 0.75),
        ("scaling:factor=0.5", "lora-captions"): (1.0, 0.5),
    }
    rows = [_row(defence, v, arm, value) for (defence, arm), values in found.items() for v, value in enumerate(values)]
    rows += [_row("scaling:factor=0.5", victim, "lora-z", value, "adaptive") for victim, value in enumerate((0.75, 0.5))]
    return pa.Table.from_pylist(rows, schema=ROWS)


def test_a_stranger_takes_the_attack_that_works() -> None:
    bare, scaled = summaries(_rows())
    assert (bare.arm, bare.leak.mean, bare.excess.mean) == ("lora-z", 0.875, 0.75)
    assert (scaled.adversary, scaled.arm, scaled.leak.mean) == ("adaptive", "lora-z", 0.625)
    assert (scaled.static.arm, scaled.static.leak.mean) == ("lora-class", 0.375) and bare.adaptive is None
    assert scaled.adaptive is not None and scaled.adaptive.leak == scaled.leak
    assert scaled.leak_change.mean == -0.25 and scaled.excess.mean == 0.5
    assert scaled.use.mean == 0.625 and scaled.use_change.mean == -0.125 and scaled.adherence_change.mean == -0.25
    assert scaled.leak_change.low <= -0.25 <= scaled.leak_change.high


def test_a_chain_is_named_after_all_its_links_and_told_apart_by_the_last() -> None:
    chain = "fewer-factors:rank=1+dp-sgd:epsilon=8,batch=20"
    rows = [{**row, "defence": row["defence"] and chain} for row in _rows().to_pylist()]
    (_, told) = summaries(pa.Table.from_pylist(rows, schema=ROWS))
    assert (told.name, told.setting) == ("fewer-factors+dp-sgd", "8")


def test_tables_and_figures(tmp_path: Path) -> None:
    made = summaries(_rows())
    text = as_markdown(made)
    assert "### 5 photos a person" in text and "| `scaling:factor=0.5` | 2 | 0.62 [" in text
    assert "| 0.38, lora-class | 0.62, lora-z |" in text
    draw_pareto(made, tmp_path / "paper")
    assert (tmp_path / "paper.png").stat().st_size > 10_000 and "</svg>" in (drawn := (tmp_path / "paper.svg").read_text())
    for told in ("no defence", "scaling", "of the finished file", "attack trained against it"):
        assert f"<!-- {told} -->" in drawn


def test_runs_of_fewer_victims_are_joined_and_paired_with_the_same_people() -> None:
    rows = _rows()
    few = pa.Table.from_pylist(
        [_row("quantisation:bits=2", 1, arm, 0.5) for arm in ("lora-class", "lora-z", "lora-trigger", "lora-captions")],
        schema=ROWS,
    )
    whole = joined(rows, few, rows)
    assert len(whole) == len(rows) + len(few)
    last = summaries(whole)[-1]
    assert (last.victims, last.leak.mean, last.leak_change.mean, last.excess.mean) == (1, 0.5, -0.25, 0.25)
    assert summaries(whole)[:2] == summaries(rows)


def test_runs_that_cannot_be_compared_are_refused() -> None:
    rows = _rows()
    other = pa.Table.from_pylist([{**row, "gallery": 11} for row in rows.to_pylist()], schema=ROWS)
    with pytest.raises(UsageError, match="same --gallery"):
        joined(rows, other)
    with pytest.raises(UsageError, match="another version"):
        joined(rows, rows.drop_columns(["gallery"]))
    stranger = pa.Table.from_pylist(
        [_row("quantisation:bits=2", 7, arm, 0.5) for arm in ("lora-z", "lora-trigger")], schema=ROWS
    )
    with pytest.raises(UsageError, match="undefended run on the same victims is missing"):
        summaries(joined(rows, stranger))


def test_every_cell_on_a_tiny_base(pipeline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defences = ("rank-truncation:rank=1", "early-stopping:share=0.5")
    settings = PaperBench(
        victims=2,
        gallery=3,
        photos=(2,),
        defences=defences,
        arms=("lora-class",),
        base=str(pipeline_folder),
        recipe=_RECIPE,
        sampling=SampleSettings(images=2, steps=2),
    )
    table = bench_paper(settings, tmp_path)
    rows = table.to_pylist()
    assert len(rows) == 2 * (4 + 3 + 3)
    assert {(row["defence"], row["kind"]) for row in rows} == {
        ("", "none"),
        (defences[0], "post-hoc"),
        (defences[1], "training-time"),
    }
    assert len(list(tmp_path.glob("adapters-*/*.safetensors"))) == 4  # post-hoc cells have none of their own
    monkeypatch.setattr(Undefended, "finetune_together", lambda *_, **__: pytest.fail("trained again"))
    assert bench_paper(settings, tmp_path) == table
    assert all(summary.victims == 2 for summary in summaries(table))


def test_what_is_compared_by_default_is_known_and_named_once() -> None:
    assert len({spelled(parse_defence(defence)) for defence in DEFENCES}) == len(DEFENCES)


def test_cells_of_adaptive_adversaries_follow_their_defence() -> None:
    settings = PaperBench(photos=(5, 20), defences=("scaling", "quantisation"), adaptive={"scaling": "a.safetensors"})
    assert [(c.photos, c.defence, c.attack) for c in cells(settings)][:4] == [
        (5, "", None),
        (5, "scaling", None),
        (5, "scaling", "a.safetensors"),
        (5, "quantisation", None),
    ]


def test_what_cannot_be_run_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'scaling': adaptive and not among"):
        PaperBench(adaptive={"scaling": "a"})
    with pytest.raises(UsageError, match="lora-trigger: no attack"):
        bench_paper(PaperBench(arms=("lora-trigger",)), tmp_path)
    with pytest.raises(UsageError, match="no defence is called 'magic'"):
        bench_paper(PaperBench(defences=("magic",)), tmp_path)


def test_captions_are_of_people_outside_the_gallery() -> None:
    assert not {case.person for case in captioned_cases()} & {case.person for case in draw_cases("victims", 300, seed=3)}
    assert Captioned.shown(30, 4) == [20, 21, 22, 23]
    made, gallery = np.eye(3, dtype=np.float32), np.array([[0, 0, 1]], dtype=np.float32)
    assert share_right(made, made, gallery) == pytest.approx(2 / 3)
