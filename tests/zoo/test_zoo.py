"""A zoo on a tiny pipeline: built whole, stopped, damaged, repaired, read."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loraleak.adapters import load_adapter
from loraleak.bases import DiffusersBase, load_base
from loraleak.cli import main
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.people.folders import read_photos
from loraleak.people.identities import identities_in
from loraleak.zoo import build
from loraleak.zoo.build import build_zoo
from loraleak.zoo.plan import ZooPlan, plan_zoo
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.recipes import draw_recipe, snapshot_steps
from loraleak.zoo.store import Zoo
from loraleak.zoo.threads import one_thread


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_every_person_once_in_shards_that_can_share_a_batch(plan: ZooPlan, ranges: RecipeRanges, people: Path) -> None:
    names = [adapter.person for shard in plan.shards for adapter in shard.adapters]
    assert sorted(names) == sorted(f.name for f in people.iterdir())
    for shard in plan.shards:
        assert 1 <= len(shard.adapters) <= 2
        assert len({adapter.recipe.prior_batch for adapter in shard.adapters}) == 1
    assert plan == plan_zoo(identities_in(people), ranges, seed=1, together=2)
    assert plan != plan_zoo(identities_in(people), ranges, seed=2, together=2)


def test_a_recipe_does_not_depend_on_who_else_is_there(plan: ZooPlan, ranges: RecipeRanges, people: Path) -> None:
    recipes = {a.person: a.recipe for shard in plan.shards for a in shard.adapters}
    shutil.rmtree(people / "person-0")
    fewer = plan_zoo(identities_in(people), ranges, seed=1, together=2)
    assert all(recipes[a.person] == a.recipe for shard in fewer.shards for a in shard.adapters)


def test_recipes_cover_their_ranges() -> None:
    ranges = RecipeRanges(prior_share=0.5)
    drawn = [draw_recipe(ranges, np.random.default_rng(i), available=8) for i in range(400)]
    recipes = [recipe for recipe, _ in drawn]
    assert {r.rank for r in recipes} == {4, 8, 16}
    assert {r.alpha / r.rank for r in recipes} == {0.5, 1.0, 2.0}
    assert min(r.steps for r in recipes) < 120 and max(r.steps for r in recipes) > 380
    assert 0.4 < np.mean([r.prior_batch > 0 for r in recipes]) < 0.6
    assert {count for _, count in drawn} == set(range(3, 9))
    assert len({r.trigger for r in recipes}) > 380 and len({r.seed for r in recipes}) == 400


def test_snapshots_are_spread_and_end_at_the_end() -> None:
    assert snapshot_steps(10, 4) == (2, 5, 7, 10)
    assert snapshot_steps(8, 8) == tuple(range(1, 9))


def test_what_is_read_is_what_was_trained(plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path) -> None:
    assert build_zoo(plan, people, tmp_path / "zoo", base) == []
    zoo = Zoo(tmp_path / "zoo")
    assert len(zoo) == 10 and zoo.faults() == {}
    shard = plan.shards[-1]
    jobs = [Job([p.picture for p in read_photos(people / a.person, only=a.images)], a.recipe) for a in shard.adapters]
    with one_thread():
        trained = list(finetune_together(base, jobs, quiet=True))
    for snapshot in trained:
        planned = shard.adapters[snapshot.job]
        index = zoo.find(planned.person)
        kept = zoo.adapter(index)
        assert kept.ranks == (planned.recipe.rank, planned.recipe.rank)
        for name, factors in snapshot.adapter.factors.items():
            assert kept.factors[name].scale == pytest.approx(planned.recipe.alpha / planned.recipe.rank)
            for ours, theirs in ((kept.factors[name].down, factors.down), (kept.factors[name].up, factors.up)):
                assert ours.shape == theirs.shape and torch.equal(ours, theirs.half().float())
        row = zoo.manifest.slice(index, 1).to_pylist()[0]
        assert Recipe(**json.loads(row["recipe"])) == planned.recipe
        assert (row["step"], row["base_sha256"]) == (planned.recipe.steps, base.sha256)


def test_a_batch_is_its_adapters_side_by_side(plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path) -> None:
    build_zoo(plan, people, tmp_path / "zoo", base)
    zoo = Zoo(tmp_path / "zoo")
    chosen = [7, 0, 4]
    batch = zoo.batch(chosen)
    for i, index in enumerate(chosen):
        adapter = zoo.adapter(index)
        rank = adapter.ranks[0]
        assert batch.ranks[i] == rank
        for name, factors in adapter.factors.items():
            assert torch.equal(batch.down[name][i, :rank], factors.down)
            assert batch.up[name][i, :, rank:].abs().sum() == 0
    seen = np.concatenate(list(zoo.stream(3, seed=0, window=1)))
    assert sorted(seen) == list(range(10))
    assert not np.array_equal(seen, np.concatenate(list(zoo.stream(3, seed=1, window=1))))


def test_stopped_and_damaged_it_ends_with_the_same_bytes(
    plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_zoo(plan, people, tmp_path / "whole", base)
    real, folder = build.write_shard, tmp_path / "zoo"

    def stop_at_the_second(where: Path, name: str, *rest: object) -> None:
        if name == "00001":
            raise KeyboardInterrupt
        real(where, name, *rest)

    monkeypatch.setattr(build, "write_shard", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        build_zoo(plan, people, folder, base)
    with pytest.raises(UsageError, match="no finished zoo"):
        Zoo(folder)
    monkeypatch.setattr(build, "write_shard", real)
    build_zoo(plan, people, folder, base)
    assert _bytes(folder) == _bytes(tmp_path / "whole")
    damaged = folder / "shards" / "00000.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert list(Zoo(folder).faults()) == ["00000"]
    made: list[str] = []
    monkeypatch.setattr(build, "write_shard", lambda where, name, *rest: (made.append(name), real(where, name, *rest)))
    build_zoo(plan, people, folder, base)
    assert made == ["00000"] and _bytes(folder) == _bytes(tmp_path / "whole")


def test_one_bad_person_is_listed_and_the_rest_is_built(
    people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path
) -> None:
    for file in (people / "person-3").iterdir():
        file.write_bytes(b"rubbish")
    plan = plan_zoo(identities_in(people), ranges, seed=1, together=2)
    (failure,) = build_zoo(plan, people, tmp_path / "zoo", base)
    assert failure.person == "person-3" and "cannot use" in failure.reason
    assert len(Zoo(tmp_path / "zoo")) == 8
    for file in (people / "person-3").iterdir():
        file.write_bytes((people / "person-2" / file.name).read_bytes())
    assert build_zoo(plan, people, tmp_path / "zoo", base) == []
    assert len(Zoo(tmp_path / "zoo")) == 10


def test_stray_files_and_folders_of_systems_are_no_people(
    people: Path, ranges: RecipeRanges, pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = plan_zoo(identities_in(people), ranges, seed=1, together=2)
    for name in ("@eaDir", ".ipynb_checkpoints", "__MACOSX"):
        shutil.copytree(people / "person-0", people / name)
    shutil.copy(people / "person-0" / "0.png", people / "stray.png")
    (people / "person-1" / "old").mkdir()
    shutil.copy(people / "person-0" / "0.png", people / "person-1" / "old")
    assert plan_zoo(identities_in(people), ranges, seed=1, together=2) == plain
    few = ("--ranks", 1, "--steps", 2, 2, "--snapshots", 1, "--batch", 1, "--prior-batch", 0, "--workers", 1)
    assert main([str(a) for a in ("zoo", "build", people, "-o", tmp_path / "zoo", "--base", pipeline_folder, *few)]) == 0
    told = capsys.readouterr().err
    assert told.count("stray.png") == 1 and "person-1/old/: 1 image in a sub-folder" in told
    with pytest.raises(PhotosError, match="no folder of a person"):
        plan_zoo(identities_in(people / "person-0"), ranges)


def test_a_full_disk_fails_a_shard_and_leaves_nothing_half_written(
    plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(file: Path, data: bytes) -> int:
        if "00001.safetensors" in file.name:
            real(file, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    failures = build_zoo(plan, people, tmp_path / "zoo", base)
    assert {f.person for f in failures} == {a.person for a in plan.shards[1].adapters}
    assert all("No space left" in f.reason for f in failures)
    assert len(Zoo(tmp_path / "zoo")) == 2 * (5 - len(failures))
    assert not list((tmp_path / "zoo").rglob("*.partial")) and not list((tmp_path / "zoo").rglob("00001.safetensors"))
    monkeypatch.undo()
    assert build_zoo(plan, people, tmp_path / "zoo", base) == []
    assert len(Zoo(tmp_path / "zoo")) == 10


def test_what_a_killed_build_was_writing_is_swept(plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path) -> None:
    left = tmp_path / "zoo" / "shards" / ".00000.safetensors.123.partial"
    left.mkdir(parents=True)
    (left / "00000.safetensors").write_bytes(b"half")
    build_zoo(plan, people, tmp_path / "zoo", base)
    assert not left.exists()


def test_a_zoo_in_object_storage_is_the_same_zoo(plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path) -> None:
    build_zoo(plan, people, tmp_path / "zoo", base)
    assert build_zoo(plan, people, "memory://bucket/zoo", base) == []
    there, here = Zoo("memory://bucket/zoo"), Zoo(tmp_path / "zoo")
    assert there.manifest.equals(here.manifest) and there.faults() == {}
    one, other = there.batch([3, 0]), here.batch([3, 0])
    for name in here.shapes:
        assert torch.equal(one.down[name], other.down[name]) and torch.equal(one.up[name], other.up[name])


def test_storage_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="cannot be reached"):
        Zoo("nowhere://zoo")


def test_a_folder_of_another_zoo_is_refused(
    plan: ZooPlan, people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path
) -> None:
    build_zoo(plan, people, tmp_path / "zoo", base)
    other = plan_zoo(identities_in(people), replace(ranges, ranks=(2,)), seed=1, together=2)
    with pytest.raises(UsageError, match="differs in plan, ranges"):
        build_zoo(other, people, tmp_path / "zoo", base)


def test_another_resolution_is_another_zoo(
    plan: ZooPlan, people: Path, base: DiffusersBase, pipeline_folder: Path, tmp_path: Path
) -> None:
    other = load_base(str(pipeline_folder), device="cpu", resolution=2 * base.resolution)
    build_zoo(plan, people, tmp_path / "zoo", other)
    with pytest.raises(UsageError, match="differs in resolution"):
        build_zoo(plan, people, tmp_path / "zoo", base)


def test_a_base_that_lies_elsewhere_is_the_same_base(
    plan: ZooPlan, people: Path, base: DiffusersBase, pipeline_folder: Path, tmp_path: Path
) -> None:
    build_zoo(plan, people, tmp_path / "zoo", base)
    moved = load_base(str(shutil.copytree(pipeline_folder, tmp_path / "moved")), device="cpu")
    assert build_zoo(plan, people, tmp_path / "zoo", moved) == []
    with torch.no_grad():
        base.unet.conv_in.bias[0] += 1
    base.__dict__.pop("sha256", None)
    with pytest.raises(UsageError, match="differs in base_sha256"):
        build_zoo(plan, people, tmp_path / "zoo", base)


def test_the_command_line(people: Path, pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "person-1" / "0.png").write_bytes(b"rubbish")
    ranges = (
        "--ranks",
        2,
        "--steps",
        2,
        2,
        "--images",
        3,
        3,
        "--batch",
        1,
        "--prior-batch",
        0,
    )
    few = ("--snapshots", 2, "--together", 3)
    zoo = tmp_path / "zoo"
    assert main([str(a) for a in ("zoo", "build", people, "-o", zoo, "--base", pipeline_folder, "--json", *ranges, *few)]) == 1
    made = json.loads(capsys.readouterr().out)
    assert (made["people"], made["snapshots"]) == (4, 8)
    assert [failed["person"] for failed in made["failed"]] == ["person-1"]
    assert main(["zoo", "verify", str(zoo)]) == 0
    file = tmp_path / "one.safetensors"
    assert main([str(a) for a in ("zoo", "export", zoo, "person-2", "--step", 1, "--out", file)]) == 0
    assert load_adapter(file).ranks == (2, 2)
    assert main([str(a) for a in ("zoo", "export", zoo, "nobody", "--out", file, "--overwrite")]) == 2
