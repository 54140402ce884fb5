"""Files of no person."""

import numpy as np

from loraleak.finetuning import Job
from loraleak.pocket.who_null import Subject, pictures_of, subjects


def test_subjects_are_styles_and_things_in_turn_and_never_the_same() -> None:
    some = subjects(6, seed=100)
    assert [subject.kind for subject in some] == ["style", "thing"] * 3
    assert len({subject.seed for subject in some}) == 6


def test_pictures_differ_within_a_file_and_are_the_same_each_time() -> None:
    for subject in (Subject("style", 3), Subject("thing", 4)):
        pictures = pictures_of(subject)
        assert pictures.shape == (8, 64, 64, 3) and pictures.dtype == np.uint8
        assert len({picture.tobytes() for picture in pictures}) == 8
        assert np.array_equal(pictures, pictures_of(subject))
        Job(pictures, subject.recipe)


def test_pictures_of_a_thing_hold_other_colours_than_their_background() -> None:
    for picture in pictures_of(Subject("thing", 5)):
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3
