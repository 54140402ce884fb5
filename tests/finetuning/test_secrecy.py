"""A secret seed is long, new every time, and a seed like any other to the generator."""

import pytest

from loraleak.errors import UsageError
from loraleak.finetuning.randomness import gaussian_numbers
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.secrecy import is_secret, secret_seed


def test_a_secret_seed_is_long_and_new() -> None:
    drawn = {secret_seed() for _ in range(100)}
    assert len(drawn) == 100 and all(is_secret(seed) and Recipe(seed=seed).seed == seed for seed in drawn)
    assert all(any(seed >> bit & 1 for seed in drawn) for bit in range(128))


def test_what_people_type_and_zoos_record_is_not_secret() -> None:
    assert not any(is_secret(seed) for seed in (0, 42, 20261127, 2**62 - 1, 2**64))


def test_every_bit_of_the_seed_decides_the_noise() -> None:
    first = [float(gaussian_numbers(1 << 127 | 1 << bit, 1, 1)[0]) for bit in range(127)]
    assert len(set(first)) == 127


def test_a_seed_that_the_generator_cannot_take_is_refused() -> None:
    with pytest.raises(UsageError, match=r"below 2\^128"):
        Recipe(seed=2**128)
