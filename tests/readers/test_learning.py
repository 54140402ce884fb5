"""Readers find what was planted, say how sure they are, and are written into a kit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loraleak.errors import UsageError
from loraleak.kits import Card, Kit, People, SamplingSetup, read_kit, save_kit
from loraleak.readers import Samples, checked, learn_readers, number_of_photos, reads, split_of, words
from loraleak.readers.calibration import calibration_error, error_with_interval
from oracles.planted_adapters import made_adapter


def test_readers_find_what_was_planted(samples: Samples, tmp_path: Path) -> None:
    readers = learn_readers(samples, kept_apart=20)
    measured = readers.card.measured
    assert measured is not None and measured.size_error is not None and measured.size_guess is not None
    assert measured.right["glasses"].mean > 0.9 > 0.7 > measured.majority["glasses"].mean
    assert measured.size_error.high < measured.size_guess.low / 2
    for glasses, photos in (("round", 3), ("none", 40)):
        adapter = made_adapter(glasses, photos, 1000 + photos)
        (word,) = words(readers, adapter)
        number = number_of_photos(readers, adapter)
        assert reads(readers, adapter) and word.value == glasses and word.confidence > 0.8
        assert number.low <= number.photos <= number.high and photos / 2 < number.photos < photos * 2
    partly = replace(adapter, factors=dict(list(adapter.factors.items())[:1]))
    assert not reads(readers, partly)
    sampling = SamplingSetup("a" * 64, "faces-1", "a photo of a person", 20, 2.0)
    card = Card("b", "a" * 64, "", "faces", "a photo of a person", (), People(1, 0, 0, 0), "", "", "0.1.0")
    save_kit(Kit(card, sampling, readers=readers), tmp_path / "kit.safetensors")
    again = read_kit(tmp_path / "kit.safetensors").readers
    assert again is not None and again.card == readers.card and words(again, adapter) == words(readers, adapter)


def test_nobody_is_on_both_sides(samples: Samples) -> None:
    learned, apart = split_of(samples, 20, 0)
    assert len(apart) == 20 and not {samples.people[i] for i in learned} & {samples.people[i] for i in apart}
    with pytest.raises(UsageError, match="60 people are too few to keep 50 apart"):
        learn_readers(samples, kept_apart=50)


def test_a_person_in_two_zoos_is_on_one_side(samples: Samples) -> None:
    twice = replace(
        samples,
        places=samples.places * 2,
        people=samples.people * 2,
        photos=np.concatenate([samples.photos, samples.photos]),
        traits=samples.traits * 2,
    )
    learned, apart = split_of(twice, 20, 0)
    assert len(apart) == 20 and len(learned) == 80 and not {twice.people[i] for i in learned} & {twice.people[i] for i in apart}


def test_numbers_that_do_not_go_with_the_header_are_refused(samples: Samples) -> None:
    readers = learn_readers(samples, kept_apart=20)
    for name, value in (
        ("traits/map", np.zeros((3, 3))),
        ("size/weights", np.full((14, 1), np.nan)),
        ("left/x", np.zeros((3, 8))),
    ):
        with pytest.raises(ValueError, match="do not go with their header"):
            checked(replace(readers, tensors={**readers.tensors, name: value}))


def test_the_calibration_error_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    stated, right = rng.uniform(0, 1, 500), rng.uniform(0, 1, 500) < 0.5
    slow = 0.0
    for low in np.arange(10) / 10:
        inside = (stated >= low) & (stated < low + 0.1)
        slow += inside.mean() * abs(stated[inside].mean() - right[inside].mean())
    assert calibration_error(stated, right) == pytest.approx(slow)
    interval = error_with_interval(stated.reshape(250, 2), right.reshape(250, 2))
    assert interval.low < interval.mean < interval.high
