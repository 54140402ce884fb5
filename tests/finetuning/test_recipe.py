"""A recipe is checked when it is made, and names the owner's prompt."""

from typing import Any

import pytest

from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe


@pytest.mark.parametrize(
    ("class_prompt", "prompt"),
    [
        ("a photo of a person", "a photo of sks person"),
        ("a photo of an adult", "a photo of sks adult"),
        ("a photo of the dog", "a photo of the sks dog"),
        ("photo of red car", "photo of red sks car"),
        ("a person", "sks person"),
        ("person", "sks person"),
        ("  a  photo of a   person ", "a photo of sks person"),
    ],
)
def test_the_trigger_stands_before_the_class_noun(class_prompt: str, prompt: str) -> None:
    assert Recipe(class_prompt=class_prompt).prompt == prompt


def test_the_trigger_may_be_any_word() -> None:
    assert Recipe(trigger="zxq").prompt == "a photo of zxq person"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rank": 0}, "rank is 0, give at least 1"),
        ({"rank": 100_000}, "rank is 100000, give at most 1024"),
        ({"learning_rate": float("inf")}, "learning_rate is inf, give a number"),
        ({"prior_weight": float("nan")}, "prior_weight is nan"),
        ({"guidance_scale": float("-inf")}, "guidance_scale is -inf"),
        ({"max_grad_norm": 0.0}, "max_grad_norm is 0.0, it must be above 0"),
        ({"seed": 1 << 128}, "seed is"),
        ({"start_seed": 1 << 128}, "start_seed is"),
        ({"steps": -1}, "steps is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"prior_batch": -1}, "prior_batch is -1"),
        ({"class_count": 0}, "class_count is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, it must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"trigger": " "}, "trigger is empty"),
        ({"class_prompt": ""}, "class_prompt is empty"),
    ],
)
def test_a_fault_is_named_with_its_remedy(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(**changes)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(rank=0, steps=0, learning_rate=-1.0, trigger="")
    for name in ("rank", "steps", "learning_rate", "trigger"):
        assert name in str(caught.value)


def test_without_prior_preservation_no_class_images_are_needed() -> None:
    assert Recipe(prior_batch=0, class_count=0).class_count == 0
