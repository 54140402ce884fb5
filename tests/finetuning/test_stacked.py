"""K adapters together are K adapters alone."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe, Targets
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together
from loraleak.finetuning.targets import target_modules
from loraleak.finetuning.trainer import Trainer
from oracles.peft_dreambooth import train_alone
from oracles.private_images import in_double, people_of

_RECIPE = Recipe(trigger="zqkv", rank=4, alpha=3.0, steps=20, class_count=3, prior_batch=1, batch=2, learning_rate=1e-2)


@pytest.mark.parametrize(
    ("targets", "text_encoder"), [("attention", False), ("transformer", True), ("all", False)], ids=lambda value: str(value)
)
def test_as_separate_peft_runs(base: DiffusersBase, targets: Targets, text_encoder: bool) -> None:
    """To 1e-9 in float64, with different ranks, scales, rates, clips, prompts, numbers of images and numbers of steps."""
    common = replace(_RECIPE, targets=targets, text_encoder=text_encoder)
    recipes = [
        common,
        replace(common, seed=7, rank=2, alpha=8.0, steps=11, learning_rate=3e-3, trigger="abcd"),
        replace(common, seed=8, rank=3, class_count=5, max_grad_norm=0.01, prior_weight=0.3, loss_weighting="uniform"),
    ]
    class_images(base, recipes[2])
    base = in_double(base, common)
    people = people_of(len(recipes))
    together = _last(finetune_together(base, [Job(p, r) for p, r in zip(people, recipes, strict=True)], quiet=True))
    shapes = target_modules(base, targets, text_encoder=text_encoder)
    assert any(len(shape) == 4 for shape in shapes.values()) == (targets != "attention")
    for k, recipe in enumerate(recipes):
        expected = train_alone(_copy(base), people[k], recipe, shapes)
        factors = together[k].adapter.factors
        assert factors.keys() == expected.keys() and together[k].step == recipe.steps
        for name, (down, up) in expected.items():
            assert (factors[name].down - down).abs().max() < 1e-9
            assert (factors[name].up - up).abs().max() < 1e-9
            assert factors[name].up.abs().max() > 1e-4
            assert factors[name].scale == pytest.approx(recipe.alpha / recipe.rank)


def test_adapters_can_start_from_one_seed(base: DiffusersBase) -> None:
    def starts(*seeds: int | None) -> list[Tensor]:
        recipes = [replace(_RECIPE, seed=k, start_seed=start) for k, start in enumerate(seeds)]
        trainer = Trainer(base, [Job(p, r) for p, r in zip(people_of(len(recipes)), recipes, strict=True)])
        return list(next(iter(trainer.stack.down.values())))

    one, other = starts(5, 5)
    assert torch.equal(one, other)
    own, of_seed_0 = starts(None, 0)
    assert torch.equal(own, of_seed_0) and not torch.equal(own, one)


def test_an_adapter_does_not_depend_on_its_company(base: DiffusersBase) -> None:
    people = people_of(3)
    jobs = [Job(images, replace(_RECIPE, seed=k, steps=3)) for k, images in enumerate(people)]
    base = in_double(base, _RECIPE)
    together = _last(finetune_together(base, jobs, quiet=True))
    alone = _last(finetune_together(base, [jobs[1]], quiet=True))
    for name, factors in together[1].adapter.factors.items():
        assert torch.allclose(factors.up, alone[0].adapter.factors[name].up, rtol=0, atol=1e-12)


def test_snapshots_come_at_their_steps_and_are_what_a_shorter_run_gives(base: DiffusersBase) -> None:
    images = people_of(1)[0]
    given = list(finetune_together(base, [Job(images, replace(_RECIPE, steps=4), snapshots=(1, 3))], quiet=True))
    assert [snapshot.step for snapshot in given] == [1, 3, 4]
    short = _last(finetune_together(base, [Job(images, replace(_RECIPE, steps=3))], quiet=True))[0]
    for name, factors in given[1].adapter.factors.items():
        assert torch.equal(factors.up, short.adapter.factors[name].up)


def test_what_must_be_shared_is_said(base: DiffusersBase) -> None:
    images = people_of(1)[0]
    with pytest.raises(UsageError, match="must share batch"):
        next(iter(finetune_together(base, [Job(images, _RECIPE), Job(images, replace(_RECIPE, batch=3))])))


def _last(snapshots: Sequence[Snapshot]) -> dict[int, Snapshot]:
    return {snapshot.job: snapshot for snapshot in snapshots}


def _copy(base: DiffusersBase) -> DiffusersBase:
    copy = deepcopy(base)
    copy.__dict__["sha256"] = base.sha256
    return copy


def test_targets_are_the_layers_that_their_names_say(base: DiffusersBase) -> None:
    attention, cross, transformer = (
        set(target_modules(base, targets, text_encoder=False)) for targets in ("attention", "cross-attention", "transformer")
    )
    assert cross == {name for name in attention if ".attn2." in name} and cross
    assert {name for name in attention if ".attn1." in name} and attention < transformer
