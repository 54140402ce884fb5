"""What may be claimed, as fields and in words: nothing of noise that others can draw again."""

import json
from dataclasses import fields, replace

import pytest

from loraleak.defences import Guarantee, training_time
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.secrecy import secret_seed

_RECIPE = Recipe(steps=20, batch=1)
_PRIVATE = ("dp-sgd:noise=4", "dp-mmd:noise=4", "early-stopping+dp-sgd:noise=4+scaling")


@pytest.mark.parametrize("text", _PRIVATE)
@pytest.mark.parametrize("seed", [0, 1, 2**62 - 1])
def test_noise_of_a_seed_that_others_know_promises_nothing(text: str, seed: int) -> None:
    claimed = training_time(text).guarantee(replace(_RECIPE, seed=seed), 5)
    assert claimed.epsilon_image is claimed.epsilon_person is claimed.delta is claimed.accountant is None
    assert claimed.says.startswith("noise, no guarantee: the seed is not secret")
    assert claimed.noise_multiplier == 4.0


@pytest.mark.parametrize("text", _PRIVATE)
def test_the_words_are_made_of_the_fields(text: str) -> None:
    seed = secret_seed()
    claimed = training_time(text).guarantee(replace(_RECIPE, seed=seed), 5)
    assert claimed.stated and claimed.why_none is None and claimed.accountant is not None
    assert (claimed.unit, claimed.neighbouring, claimed.delta) == ("image", "add or remove", 1e-5)
    assert f"epsilon {claimed.epsilon_image:.3g} for one private image" in claimed.says
    assert "epsilon 1.5 for one" in replace(claimed, epsilon_image=1.5).says
    written = json.dumps(claimed.as_json())
    assert {field.name for field in fields(Guarantee)} | {"says"} == json.loads(written).keys()
    assert str(seed) not in written + repr(claimed)


def test_sampling_rate_and_steps_are_those_in_use() -> None:
    recipe = replace(_RECIPE, seed=secret_seed())
    sampled = training_time("early-stopping:share=0.5+dp-sgd:noise=4,batch=2").guarantee(recipe, 5)
    assert (sampled.mechanism, sampled.sampling_rate, sampled.steps) == ("Poisson-subsampled Gaussian", 0.4, 10)
    released = training_time("dp-mmd:noise=4").guarantee(recipe, 5)
    assert (released.mechanism, released.sampling_rate, released.steps) == ("Gaussian", 1.0, 1)


def test_no_noise_and_no_mechanism_say_so() -> None:
    recipe = replace(_RECIPE, seed=secret_seed())
    assert training_time("dp-sgd:noise=0").guarantee(recipe, 5).says == "no guarantee: no noise is added"
    none = training_time("random-prompts").guarantee(recipe, 5)
    assert none.mechanism is none.unit is none.neighbouring is None and none.says.startswith("no guarantee: it makes")
