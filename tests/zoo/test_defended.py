"""A zoo of defended adapters: what is planned, recorded and refused, here and in worker processes."""

import json
from pathlib import Path

import pytest
import torch

from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase
from loraleak.cli import main
from loraleak.defences import PostHoc, parse_defence, training_time
from loraleak.defences.finished.refactoring import RandomRefactoring
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job
from loraleak.people.folders import read_photos
from loraleak.people.identities import identities_in
from loraleak.types import Adapter
from loraleak.zoo.build import build_zoo
from loraleak.zoo.defend import defend_zoo
from loraleak.zoo.plan import ZooPlan, plan_zoo
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.store import Zoo
from loraleak.zoo.threads import one_thread
from loraleak.zoo.workers import Site, local_workers


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_workers_defend_as_a_build_here_does(
    people: Path, ranges: RecipeRanges, base: DiffusersBase, pipeline_folder: Path, tmp_path: Path
) -> None:
    text = "dp-sgd:noise=1,multiplicity=1"
    defence = training_time(text)
    plan = plan_zoo(identities_in(people), ranges, seed=1, together=2, defence=defence)
    assert build_zoo(plan, people, tmp_path / "here", base) == []
    site = Site(people, str(tmp_path / "there"), BaseSettings(str(pipeline_folder), device="cpu"), text)
    assert build_zoo(plan, people, tmp_path / "there", base, builder=local_workers(site, 1)) == []
    assert _bytes(tmp_path / "here") == _bytes(tmp_path / "there")
    recorded = json.loads((tmp_path / "here" / "zoo.json").read_text())["guarantee"]
    assert recorded["epsilon_image"] is None and "the seed is not secret" in recorded["says"]
    assert recorded == plan.guarantee.as_json() and recorded["noise_multiplier"] == 1.0
    zoo, planned = Zoo(tmp_path / "here"), plan.shards[0].adapters[0]
    photos = [p.picture for p in read_photos(people / planned.person, only=planned.images)]
    with one_thread():
        *_, last = defence.finetune_together(base, [Job(photos, planned.recipe)], quiet=True)
    kept = zoo.adapter(zoo.find(planned.person))
    for name, factors in last.adapter.factors.items():
        assert torch.allclose(kept.factors[name].up, factors.up, rtol=0.02, atol=1e-3)


def test_a_zoo_holds_what_the_defence_trains(people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path) -> None:
    defence = training_time("fewer-factors:rank=1,targets=cross-attention")
    build_zoo(plan_zoo(identities_in(people), ranges, seed=1, together=2, defence=defence), people, tmp_path / "few", base)
    zoo = Zoo(tmp_path / "few")
    assert zoo.shapes and all(".attn2." in name for name in zoo.shapes) and zoo.rank == 1
    short = training_time("early-stopping:share=0.5")
    plan = plan_zoo(identities_in(people), ranges, seed=1, together=2, defence=short)
    build_zoo(plan, people, tmp_path / "short", base)
    rows = Zoo(tmp_path / "short").manifest.to_pylist()
    for shard in plan.shards:
        for adapter in shard.adapters:
            mine = [row for row in rows if row["person"] == adapter.person]
            assert max(row["step"] for row in mine) == short.defended(adapter.recipe).steps < adapter.recipe.steps
            assert {Recipe(**json.loads(row["recipe"])) for row in mine} == {short.defended(adapter.recipe)}


def test_defending_a_zoo_is_building_it_defended(
    plan: ZooPlan, people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path
) -> None:
    text = "rank-truncation:rank=1+scaling:factor=0.5"
    build_zoo(
        plan_zoo(identities_in(people), ranges, seed=1, together=2, defence=training_time(text)),
        people,
        tmp_path / "built",
        base,
    )
    build_zoo(plan, people, tmp_path / "bare", base)
    defence = parse_defence(text)
    assert isinstance(defence, PostHoc)
    made, built = defend_zoo(Zoo(tmp_path / "bare"), defence, tmp_path / "made", base), Zoo(tmp_path / "built")
    assert made.rank == built.rank == 1 and made.faults() == {}
    assert made.manifest.select(["person", "step", "recipe"]) == built.manifest.select(["person", "step", "recipe"])
    for index in range(len(made)):
        one, other = _updates(made.adapter(index)), _updates(built.adapter(index))
        for name in one:
            assert torch.linalg.norm(one[name] - other[name]) <= 0.01 * torch.linalg.norm(other[name])
    before = _bytes(tmp_path / "made")
    (tmp_path / "made" / "shards" / f"{plan.shards[0].name}.safetensors").unlink()
    defend_zoo(Zoo(tmp_path / "bare"), defence, tmp_path / "made", base)
    assert _bytes(tmp_path / "made") == before
    with pytest.raises(UsageError, match="another zoo"):
        defend_zoo(Zoo(tmp_path / "bare"), RandomRefactoring(), tmp_path / "made", base)
    with pytest.raises(UsageError, match="defended with rank-truncation:rank=1"):
        defend_zoo(made, defence, tmp_path / "twice", base)


def _updates(adapter: Adapter) -> dict[str, torch.Tensor]:
    return {name: f.scale * f.up.flatten(1) @ f.down.flatten(1) for name, f in adapter.factors.items()}


def test_another_defence_is_another_zoo(
    plan: ZooPlan, people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path
) -> None:
    build_zoo(plan, people, tmp_path / "zoo", base)
    for text in ("dp-sgd:noise=1", "random-prompts"):
        other = plan_zoo(identities_in(people), ranges, seed=1, together=2, defence=training_time(text))
        with pytest.raises(UsageError, match="differs in defence: build with the same people, ranges, seed, defence"):
            build_zoo(other, people, tmp_path / "zoo", base)
    facts = json.loads((tmp_path / "zoo" / "zoo.json").read_text())
    assert "guarantee" not in facts
    del facts["defence"]  # as zoos that were built before there were defences
    (tmp_path / "zoo" / "zoo.json").write_text(json.dumps(facts))
    assert build_zoo(plan, people, tmp_path / "zoo", base) == []


def test_the_command_line(people: Path, pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = tmp_path / "zoo"
    few = ("--ranks", 2, "--steps", 2, 2, "--images", 3, 3, "--batch", 1, "--prior-batch", 0, "--snapshots", 2, "--together", 5)
    command = [str(a) for a in ("zoo", "build", people, "-o", zoo, "--base", pipeline_folder, "--workers", 1, *few)]
    assert main([*command, "--defence", "random-prompts:words=1"]) == 0
    assert "random-prompts:words=1: no guarantee: " in capsys.readouterr().out
    assert json.loads((zoo / "zoo.json").read_text())["defence"] == "random-prompts:words=1,swap=0.0"
    assert main([*command, "--defence", "random-prompts:words=2"]) == 2
    assert "differs in defence" in capsys.readouterr().err
    assert main([*command, "--defence", "quantisation:levels=2"]) == 2
