"""TrainingRun on a tiny zoo: disjoint people, the same result after an interruption, a file that reads back."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.errors import BaseMismatchError, UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.public import Examples, PublicPeople, read_public_people
from loraleak.inversion.stored import load_attack
from loraleak.inversion.train import train_attack
from loraleak.inversion.train_settings import TrainSettings
from loraleak.inversion.weights import since_start, stack_adapters
from loraleak.people.identities import identities_in
from loraleak.people.split_file import read_split
from loraleak.types import Images, StackedFactors
from loraleak.zoo.build import build_zoo
from loraleak.zoo.plan import plan_zoo
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.store import Zoo

RANGES = RecipeRanges(ranks=(2,), steps=(2, 4), images=(2, 3), batch=1, prior_batch=1, class_count=2, snapshots=2)
SETTINGS = TrainSettings(steps=6, batch=4, warmup=1, evaluate_every=2, noise_from=0.5, noise_adapters=2, noise_images=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.inversion.universal._STEPS", 2)


def test_nobody_who_is_held_out_is_trained_on(base: DiffusersBase, public: PublicPeople, tmp_path: Path) -> None:
    training = TrainingRun(base, public, SETTINGS, tmp_path)
    trained = {int(public.person_of[0][row]) for row in training.rows[0]}
    held_out = {int(public.person_of[0][row]) for row in training.held_out[0]}
    assert trained and held_out and not trained & held_out
    assert held_out == public.held_out and trained | held_out == set(range(len(public.names)))


def test_fewer_people_are_a_part_of_them(base: DiffusersBase, public: PublicPeople) -> None:
    two = public.with_fewer(2, seed=0)
    assert len(two.trained) == 2 and two.trained <= public.trained and two.held_out == public.held_out
    rows = two.rows(0, held_out=False, last_only=False)
    assert set(two.person_of[0][rows]) == two.trained
    with pytest.raises(UsageError, match="build a larger zoo"):
        public.with_fewer(99, seed=0)


def test_without_the_step_embedding_only_final_weights_are_examples(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path
) -> None:
    training = TrainingRun(base, public, replace(SETTINGS, step_embedding=False), tmp_path)
    rows = [*training.rows[0], *training.held_out[0]]
    assert len(rows) == len(public.names)
    for row in rows:
        mine = public.person_of[0] == public.person_of[0][row]
        assert public.step_of[0][row] == public.step_of[0][mine].max()
    assert training.encoder.steps is None


@pytest.mark.parametrize("kind", ["invariant", "ridge", "published"])
def test_an_interrupted_training_ends_as_an_undisturbed_one(
    kind: str, base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, encoder=kind)
    whole = train_attack(base, public, settings, tmp_path / "whole")
    true_step = TrainingRun._one_step

    def dies(self: TrainingRun, examples: Examples) -> dict[str, float]:
        if self.step == 5:
            raise KeyboardInterrupt
        return true_step(self, examples)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "_one_step", dies)
        with pytest.raises(KeyboardInterrupt):
            train_attack(base, public, settings, tmp_path / "killed")
    again = train_attack(base, public, settings, tmp_path / "killed")
    assert torch.equal(whole.mean_z, again.mean_z) and torch.equal(whole.universal_z, again.universal_z)
    with pytest.raises(UsageError, match="other settings"):
        train_attack(base, public, replace(settings, beta=0.5), tmp_path / "killed")


def test_captions_are_learned(base: DiffusersBase, public: PublicPeople, tmp_path: Path) -> None:
    settings = TrainSettings(steps=60, batch=8, warmup=1, learning_rate=1e-2, noise_weight=0.0, beta=0.0, evaluate_every=60)
    training = TrainingRun(base, public, settings, tmp_path)
    rows = training.rows[0]
    losses = []

    def source(step: int) -> Examples:
        return public.examples(0, rows)

    true_log = training._log
    training._log = lambda of, figures: losses.append(figures["caption"]) if of == "train" else true_log(of, figures)  # type: ignore[method-assign]
    training.run(source)
    assert losses[-1] < 0.5 * losses[0]


def test_online_learns_after_every_step_of_every_person(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    true_step = TrainingRun._one_step

    def step(self: TrainingRun, examples: Examples) -> dict[str, float]:
        seen.extend(zip(examples.people.tolist(), examples.steps.tolist(), strict=True))
        return true_step(self, examples)

    monkeypatch.setattr(TrainingRun, "_one_step", step)
    attack = train_attack(base, public, replace(SETTINGS, steps=8), tmp_path, mode="online")
    assert attack.encode([public.zoos[0].adapter(0)]).mean.isfinite().all()
    assert len(seen) == 8 and not {person for person, _ in seen} & public.held_out
    assert all(b[1] == a[1] + 1 if a[0] == b[0] else b[1] == 1 for a, b in pairwise(seen))


def test_online_goes_on_with_the_step_where_it_stopped(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, steps=8)
    seen: list[tuple[int, int]] = []
    true_step = TrainingRun._one_step

    def step(self: TrainingRun, examples: Examples) -> dict[str, float]:
        if self.step == stop:
            raise KeyboardInterrupt
        seen.extend(zip(examples.people.tolist(), examples.steps.tolist(), strict=True))
        return true_step(self, examples)

    monkeypatch.setattr(TrainingRun, "_one_step", step)
    stop = -1
    train_attack(base, public, settings, tmp_path / "whole", mode="online")
    whole, seen = seen, []
    stop = 6
    with pytest.raises(KeyboardInterrupt):
        train_attack(base, public, settings, tmp_path / "killed", mode="online")
    assert seen == whole[:6]
    stop = -1
    train_attack(base, public, settings, tmp_path / "killed", mode="online")
    assert seen == whole


def test_without_captions_the_published_loss_is_there_from_the_first_step(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, caption_weight=0.0, beta=0.0, noise_weight=1.0)
    training = TrainingRun(base, replace(public, captions=None), settings, tmp_path)
    assert set(training._one_step(public.examples(0, training.rows[0][:4]))) == {"noise"}


def test_whoever_knows_the_start_decodes_with_the_whole_adapter(
    base: DiffusersBase, public: PublicPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[StackedFactors] = []

    def seen(base: DiffusersBase, weights: StackedFactors, z: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        decoded.append(weights)
        return z.mean()

    monkeypatch.setattr("loraleak.inversion.learning.decoding_loss", seen)
    training = TrainingRun(base, public, replace(SETTINGS, knowledge="start", noise_from=0.0), tmp_path)
    rows = training.rows[0][:2]
    examples = public.examples(0, rows, "start")
    training._one_step(examples)
    whole, name = public.zoos[0].batch(rows), next(iter(public.shapes))
    assert torch.equal(decoded[0].down[name], whole.down[name])
    assert not torch.equal(examples.read.down[name], whole.down[name])


def test_an_attack_that_needs_the_start_asks_for_seeds(base: DiffusersBase, public: PublicPeople, tmp_path: Path) -> None:
    attack = train_attack(base, public, replace(SETTINGS, knowledge="start"), tmp_path)
    adapter, seed = public.zoos[0].adapter(2), int(public.zoos[0].manifest["seed"][2].as_py())
    with pytest.raises(UsageError, match="does not tell where it started: give the seeds"):
        attack.encode([adapter])
    read = public.examples(0, np.array([2]), "start").read
    with torch.no_grad():
        expected = attack.encoder(read, torch.zeros(1, dtype=torch.long)).mean
    torch.testing.assert_close(attack.encode([adapter], seeds=[seed]).mean, expected, atol=1e-4, rtol=1e-3)


def test_a_shared_start_needs_no_seed_at_attack_time(
    base: DiffusersBase, people_folder: Path, public: PublicPeople, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, knowledge="shared-start")
    with pytest.raises(UsageError, match="8 different starts: build the zoo with one --start-seed"):
        TrainingRun(base, public, settings, tmp_path / "own")
    plan = plan_zoo(identities_in(people_folder), replace(RANGES, start_seed=3), seed=1, together=4)
    assert build_zoo(plan, people_folder, tmp_path / "zoo", base) == []
    shared = read_public_people([Zoo(tmp_path / "zoo")], identities_in(people_folder), base, held_out=0.4)
    train_attack(base, shared, settings, tmp_path / "work").save(tmp_path / "attack.safetensors")
    attack, adapter = load_attack(tmp_path / "attack.safetensors", base), shared.zoos[0].adapter(2)
    assert attack.shared_start == 3
    read = since_start(stack_adapters([adapter], attack.encoder.shapes), [3])
    with torch.no_grad():
        expected = attack.encoder(read, torch.zeros(1, dtype=torch.long)).mean
    assert torch.equal(attack.z([adapter]), expected)
    with pytest.raises(UsageError, match="an adapter did not start there"):
        attack.z([public.zoos[0].adapter(2)])
    assert not torch.equal(
        attack.encoder(stack_adapters([adapter], attack.encoder.shapes), torch.zeros(1).long()).mean, expected
    )


def test_the_change_since_the_start_is_what_training_did(base: DiffusersBase, private_images: Images) -> None:
    recipe = Recipe(steps=3, rank=2, class_count=2, batch=1, prior_batch=1, seed=9)
    first, last = (
        s.adapter for s in finetune_together(base, [Job(private_images, recipe, (1,))], quiet=True) if s.step in (1, 3)
    )
    shapes = {name: base.modules[name] for name in first.factors}
    one, three = (since_start(stack_adapters([a], shapes), [recipe.seed]) for a in (first, last))
    for name in shapes:
        moved = three.down[name] - one.down[name]
        torch.testing.assert_close(moved[0], last.factors[name].down - first.factors[name].down)
        assert one.down[name].abs().max() <= 2 * recipe.learning_rate  # Adam's first step is at most the learning rate


def test_an_attack_reads_back_and_is_for_its_own_base(
    base: DiffusersBase, public: PublicPeople, v_pipeline_folder: Path, tmp_path: Path
) -> None:
    attack = train_attack(base, public, SETTINGS, tmp_path / "work")
    attack.save(tmp_path / "attack.safetensors")
    again = load_attack(tmp_path / "attack.safetensors", base)
    adapter = public.zoos[0].adapter(3)
    torch.testing.assert_close(again.encode([adapter], [3]).mean, attack.encode([adapter], [3]).mean, atol=1e-2, rtol=1e-2)
    assert again.others.shape[1:] == base.condition_shape
    with torch.no_grad():
        base.unet.conv_in.bias[0] += 1
    del base.__dict__["sha256"]
    with pytest.raises(BaseMismatchError, match="train one for it with `loraleak train`"):
        load_attack(tmp_path / "attack.safetensors", base)


def test_what_is_no_attack_is_refused(base: DiffusersBase, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="holds no attack"):
        load_attack(tmp_path / "x", base)


def test_a_warm_start_reads_at_first_as_the_attack_did(base: DiffusersBase, public: PublicPeople, tmp_path: Path) -> None:
    attack = train_attack(base, public, SETTINGS, tmp_path / "first")
    training = TrainingRun(base, public, SETTINGS, tmp_path / "second", attack)
    rows = training.held_out[0]
    before = attack.encode([public.zoos[0].adapter(int(row)) for row in rows]).mean
    torch.testing.assert_close(training._codes(training.encoder.eval(), public.examples(0, rows)), before)
    probe = next(iter(training.encoder.left)).clone()
    train_attack(base, public, SETTINGS, tmp_path / "second", warm_start=attack)
    training._resume()
    assert torch.equal(next(iter(training.encoder.left)), probe)
    moved = training._codes(training.encoder.eval(), public.examples(0, rows))
    assert not torch.allclose(moved, before, atol=1e-4)
    with pytest.raises(UsageError, match="other settings"):
        TrainingRun(base, public, SETTINGS, tmp_path / "second")
    with pytest.raises(UsageError, match="give the settings that it was trained with"):
        TrainingRun(base, public, replace(SETTINGS, step_embedding=False), tmp_path / "third", attack)


def test_folders_of_one_person_are_held_out_together(
    base: DiffusersBase, people_folder: Path, zoo: Zoo, tmp_path: Path
) -> None:
    people = identities_in(people_folder)
    alone = read_public_people([zoo], people, base, held_out=0.4).split.parts
    inside, outside = alone["trained"][0], alone["held-out"][0]
    public = read_public_people([zoo], people, base, held_out=0.4, doubles=[(inside, outside), ("ada", "bo")])
    homes = {part for part, names in public.split.parts.items() if {inside, outside} & set(names)}
    assert len(homes) == 1 and public.split.doubles == (tuple(sorted((inside, outside))),)
    TrainingRun(base, public, SETTINGS, tmp_path)
    assert read_split(tmp_path / "split.json") == public.split
    with pytest.raises(UsageError, match="this training has held out other people"):
        TrainingRun(base, read_public_people([zoo], people, base, held_out=0.4), SETTINGS, tmp_path)


def test_people_of_a_zoo_without_a_folder_are_named(base: DiffusersBase, people_folder: Path, zoo: Zoo) -> None:
    with pytest.raises(UsageError, match="person-0: in the zoo, and not among the people"):
        read_public_people([zoo], identities_in(people_folder)[1:], base, held_out=0.4)
