"""People whom a base draws: one picture a prompt, by the base's own sampler."""

import numpy as np

from loraleak.bases import DiffusersBase, guided, sample
from loraleak.people import Described, drawn_by


def test_each_picture_is_what_the_base_draws_of_its_prompt(base: DiffusersBase) -> None:
    people = [Described("a", ("red hair", "red hat")), Described("b", tuple(f"blue {i}" for i in range(40)))]
    drawn = dict(drawn_by(base, people, steps=2, guidance_scale=2.0, seed=3))
    assert {name: len(images) for name, images in drawn.items()} == {"a": 2, "b": 40}
    *conditions, empty = base.embed([*people[0].prompts, ""])
    seed = int(np.random.default_rng([3, 2]).integers(2**62))
    for i, condition in enumerate(conditions):
        alone = sample(base, guided(base, condition, empty, 2.0), 2, seed=seed, steps=2)[i]
        assert np.abs(alone.astype(int) - drawn["a"][i]).max() <= 1
    again = dict(drawn_by(base, people[:1], steps=2, guidance_scale=2.0, seed=3))
    assert np.array_equal(again["a"], drawn["a"])
    other = dict(drawn_by(base, people[:1], steps=2, guidance_scale=2.0, seed=1 << 127))
    assert not np.array_equal(other["a"], drawn["a"])
