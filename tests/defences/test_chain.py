"""Defences one after another: each link does what it does alone, and what cannot be chained is refused in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.defences import DEFENCES, UNDEFENDED, names, parse_defence, spelled, training_time
from loraleak.defences.chain import TrainingChain
from loraleak.defences.finished.scaling import Scaling
from loraleak.defences.protocol import PostHoc, TrainingTime
from loraleak.defences.training.dp_sgd import DpSgd
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.secrecy import secret_seed
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together
from loraleak.types import Adapter, Images

_RECIPE = Recipe(rank=4, alpha=8.0, steps=4, class_count=2, prior_batch=1, batch=2, learning_rate=1e-2)


def _trained(defence: TrainingTime | PostHoc, base: DiffusersBase, images: Images, recipe: Recipe = _RECIPE) -> Adapter:
    assert isinstance(defence, TrainingTime)
    *_, last = defence.finetune_together(base, [Job(images, recipe)], quiet=True)
    return last.adapter


def _same(one: Adapter, other: Adapter) -> bool:
    return one.factors.keys() == other.factors.keys() and all(
        torch.equal(f.up, other.factors[name].up)
        and torch.equal(f.down, other.factors[name].down)
        and f.scale == other.factors[name].scale
        for name, f in one.factors.items()
    )


@pytest.mark.parametrize(
    "text",
    [
        "early-stopping:share=0.5+gaussian-noise:level=2.0,seed=0",
        "fewer-factors:rank=1,targets=none,freeze_down=false+early-stopping:share=0.5+random-prompts:words=2,swap=0.0",
        "random-prompts:words=2,swap=0.0+scaling:factor=0.5+random-refactoring:seed=0",
    ],
)
def test_a_chain_is_spelled_as_it_is_read(text: str) -> None:
    assert spelled(parse_defence(text)) == text


def test_a_finished_adapter_is_changed_after_a_defended_training(base: DiffusersBase, private_images: Images) -> None:
    chain = parse_defence("early-stopping:share=0.5+scaling:factor=0.5")
    alone = _trained(parse_defence("early-stopping:share=0.5"), base, private_images)
    assert _same(_trained(chain, base, private_images), Scaling(0.5).apply(alone, base))


def test_recipes_change_before_the_step_does(base: DiffusersBase, private_images: Images) -> None:
    chain = parse_defence("early-stopping:share=0.5+fewer-factors:rank=2+random-prompts:words=1")
    recipe = replace(_RECIPE, steps=2, rank=2, alpha=4.0)
    assert isinstance(chain, TrainingTime) and chain.defended(_RECIPE) == recipe
    assert _same(
        _trained(chain, base, private_images), _trained(parse_defence("random-prompts:words=1"), base, private_images, recipe)
    )


def test_a_promise_is_that_of_the_recipe_in_use_and_outlives_what_comes_after() -> None:
    chain = parse_defence("early-stopping:share=0.5+dp-sgd:noise=4,batch=3+scaling:factor=0.5")
    assert isinstance(chain, TrainingChain)
    recipe = replace(_RECIPE, steps=200, seed=secret_seed())
    promised = chain.guarantee(recipe, 5)
    assert promised == DpSgd(noise=4.0).guarantee(replace(recipe, steps=100, batch=3), 5)
    assert promised.epsilon_image is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scaling+early-stopping", "early-stopping changes fine-tuning: put it before scaling"),
        ("dp-sgd+smp-lora", "dp-sgd and smp-lora both change what a step does"),
        ("fewer-factors:freeze_down=true+dp-sgd", "fewer-factors and dp-sgd both change what a step does"),
        ("dp-sgd+early-stopping", "dp-sgd changes what a step does: put it after early-stopping"),
    ],
)
def test_what_cannot_be_chained_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_defence(text)


def test_a_frozen_factor_is_for_the_last_link() -> None:
    assert spelled(parse_defence("early-stopping+fewer-factors:rank=1,freeze_down=true")).endswith("freeze_down=true")


@dataclass(frozen=True)
class OneStep(TrainingTime):
    """Stands for a third party's, which changes the recipe alone."""

    name: ClassVar[str] = "one-step"
    says: ClassVar[str] = "Trains one step."
    recipe_only: ClassVar[bool] = True

    def defended(self, recipe: Recipe) -> Recipe:
        return replace(recipe, steps=1)

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        return finetune_together(base, [replace(job, recipe=self.defended(job.recipe)) for job in jobs], quiet=quiet)


@dataclass(frozen=True)
class Slower(TrainingTime):
    """Stands for a third party's, which changes what a step does."""

    name: ClassVar[str] = "slower"
    says: ClassVar[str] = "Trains slowly."
    rate: float = 1e-5

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        slow = [replace(job, recipe=replace(job.recipe, learning_rate=self.rate)) for job in jobs]
        return finetune_together(base, slow, quiet=quiet)


@dataclass(frozen=True)
class Doubled(PostHoc):
    """Stands for a third party's of finished adapters."""

    name: ClassVar[str] = "doubled"
    says: ClassVar[str] = "Doubles what was learned."
    needs_base: ClassVar[bool] = True

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return replace(adapter, factors={name: replace(f, up=2 * f.up) for name, f in adapter.factors.items()})


@pytest.fixture
def thirds(monkeypatch: pytest.MonkeyPatch) -> None:
    added = {kind.name: kind for kind in (OneStep, Slower, Doubled)}
    monkeypatch.setattr(names, "known_defences", lambda: DEFENCES | added)


def test_third_parties_stand_on_both_sides_of_a_chain(base: DiffusersBase, private_images: Images, thirds: None) -> None:
    text = "one-step+slower:rate=0.0001+doubled+scaling:factor=0.5"
    chain = parse_defence(text)
    assert spelled(chain) == text and isinstance(chain, TrainingChain)
    recipe = replace(_RECIPE, steps=1, learning_rate=1e-4)
    *_, plain = finetune_together(base, [Job(private_images, recipe)], quiet=True)
    assert _same(_trained(chain, base, private_images), plain.adapter)
    finished = parse_defence("metadata-scrub+doubled")
    assert isinstance(finished, PostHoc) and finished.needs_base
    with pytest.raises(UsageError, match="slower and dp-sgd both change what a step does"):
        parse_defence("slower+dp-sgd")


def test_a_third_partys_recipe_keeps_a_promise(thirds: None) -> None:
    recipe = replace(_RECIPE, steps=200, seed=secret_seed())
    promised = training_time("one-step+dp-sgd:noise=4+doubled").guarantee(recipe, 5)
    assert promised.stated and promised.steps == 1


def test_what_a_chain_needs_and_changes_is_what_its_links_do(adapter: Adapter) -> None:
    aligned, headers = parse_defence("scaling+spectral-alignment"), parse_defence("metadata-scrub+rank-truncation:rank=9")
    assert isinstance(aligned, PostHoc) and aligned.needs_base and aligned.changes_weights(adapter)
    assert isinstance(headers, PostHoc) and not headers.needs_base and not headers.changes_weights(adapter)


def test_an_empty_text_is_no_defence() -> None:
    assert training_time("") is UNDEFENDED and spelled(UNDEFENDED) == ""
    assert UNDEFENDED.defended(_RECIPE) == _RECIPE and not UNDEFENDED.guarantee(_RECIPE, 5).stated
