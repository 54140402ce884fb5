"""Early stopping, fewer and frozen factors, and prompts that keep changing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences.training.early_stopping import EarlyStopping
from loraleak.defences.training.fewer_factors import FewerFactors
from loraleak.defences.training.random_prompts import RandomPrompts, random_prompt
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together
from loraleak.types import Images

_RECIPE = Recipe(trigger="zqkv", rank=4, alpha=8.0, steps=5, class_count=2, prior_batch=1, batch=2, learning_rate=1e-2)


def _same(one: Snapshot, other: Snapshot) -> bool:
    pairs = ((f, other.adapter.factors[name]) for name, f in one.adapter.factors.items())
    return one.step == other.step and all(torch.equal(a.up, b.up) and torch.equal(a.down, b.down) for a, b in pairs)


def test_early_stopping_is_a_shorter_run(base: DiffusersBase, private_images: Images) -> None:
    (stopped,) = EarlyStopping(share=0.4).finetune_together(base, [Job(private_images, _RECIPE)], quiet=True)
    (short,) = finetune_together(base, [Job(private_images, replace(_RECIPE, steps=2))], quiet=True)
    assert _same(stopped, short)
    assert EarlyStopping(share=0.01).defended(_RECIPE).steps == 1


def test_fewer_factors_keep_the_scale(base: DiffusersBase, private_images: Images) -> None:
    defence = FewerFactors(rank=2, targets="cross-attention")
    (few,) = defence.finetune_together(base, [Job(private_images, _RECIPE)], quiet=True)
    assert few.adapter.ranks == (2, 2) and all(".attn2." in name for name in few.adapter.factors)
    assert {f.scale for f in few.adapter.factors.values()} == {2.0}
    assert defence.defended(replace(_RECIPE, rank=1)).rank == 1


def test_frozen_factors_are_those_of_the_start(base: DiffusersBase, private_images: Images) -> None:
    jobs = [Job(private_images, _RECIPE, snapshots=(1,)), Job(private_images, replace(_RECIPE, seed=1, rank=2), snapshots=(1,))]
    frozen = list(FewerFactors(rank=None, freeze_down=True).finetune_together(base, jobs, quiet=True))
    for job in (0, 1):
        first, last = [s for s in frozen if s.job == job]
        for name, factors in last.adapter.factors.items():
            assert torch.equal(factors.down, first.adapter.factors[name].down)
            assert not torch.equal(factors.up, first.adapter.factors[name].up)


def test_prompts_change_from_step_to_step_and_name_the_class() -> None:
    drawn = [random_prompt(_RECIPE, np.random.default_rng(i), words=2, swap=0.5) for i in range(200)]
    assert len(set(drawn)) == 200
    assert all(len(p.split()) == 7 and p.split()[-1] == "person" for p in drawn)
    assert 70 < sum("zqkv" in p.split() for p in drawn) < 130
    assert random_prompt(_RECIPE, np.random.default_rng(0), words=0, swap=0.0) == _RECIPE.prompt


@pytest.mark.parametrize("text_encoder", [False, True])
def test_random_prompts_repeat_and_differ_from_the_owners(
    base: DiffusersBase, private_images: Images, text_encoder: bool
) -> None:
    jobs = [Job(private_images, replace(_RECIPE, steps=2, text_encoder=text_encoder))]
    (one,), (again,) = (RandomPrompts().finetune_together(base, jobs, quiet=True) for _ in range(2))
    (plain,) = finetune_together(base, jobs, quiet=True)
    assert _same(one, again) and not _same(one, plain)


def test_none_of_them_promises_anything() -> None:
    for defence in (EarlyStopping(), FewerFactors(), RandomPrompts()):
        promised = defence.guarantee(_RECIPE, 5)
        assert promised.epsilon_image is promised.epsilon_person is promised.delta is None
        assert promised.says.startswith("no guarantee")


def test_settings_that_do_nothing_or_make_no_sense_are_said() -> None:
    with pytest.raises(UsageError, match="share is 0"):
        EarlyStopping(share=0.0)
    with pytest.raises(UsageError, match="changes nothing"):
        FewerFactors(rank=None)
    with pytest.raises(UsageError, match="changes nothing"):
        RandomPrompts(words=0)
    with pytest.raises(UsageError, match=r"words is -1, .*; swap is 2"):
        RandomPrompts(words=-1, swap=2.0)
