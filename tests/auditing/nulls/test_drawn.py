"""People whom the base draws: made once, kept, and made alike after an interruption."""

from typing import Any

import numpy as np
import pytest

from loraleak.auditing.nulls import drawn
from loraleak.bases import DiffusersBase
from loraleak.cache import cache_folder
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe

_DRAWING: dict[str, Any] = {"class_prompt": "a photo of a person", "steps": 2, "guidance_scale": 2.0}


def test_they_are_drawn_once_and_a_stopped_run_goes_on(base: DiffusersBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "sampled_at_once", lambda base: 3)
    estimate = drawn.estimate_of_drawing(base, count=7, **_DRAWING)
    assert estimate is not None and estimate.seconds > 0
    whole = drawn.draw_people(base, count=7, **_DRAWING)
    assert whole.shape == (7, base.resolution, base.resolution, 3)
    assert len({picture.tobytes() for picture in whole}) == 7
    assert drawn.estimate_of_drawing(base, count=7, **_DRAWING) is None
    kept = sorted(cache_folder().rglob("*.npy"))
    assert len(kept) == 3
    kept[1].unlink()
    times = [file.stat().st_mtime_ns for file in (kept[0], kept[2])]
    assert np.array_equal(drawn.draw_people(base, count=7, **_DRAWING), whole)
    assert [file.stat().st_mtime_ns for file in (kept[0], kept[2])] == times


@pytest.mark.parametrize("other", [{"class_prompt": "a photo of a cat"}, {"steps": 3}, {"guidance_scale": 3.0}], ids=str)
def test_people_of_another_sampling_are_others(base: DiffusersBase, other: dict[str, Any]) -> None:
    drawn.draw_people(base, count=2, **_DRAWING)
    assert drawn.estimate_of_drawing(base, count=2, **{**_DRAWING, **other}) is not None


def test_class_images_that_adapters_are_trained_on_are_not_among_them(base: DiffusersBase) -> None:
    trained_on = class_images(base, Recipe(class_count=4, guidance_scale=2.0))
    people = drawn.draw_people(base, count=4, class_prompt="a photo of a person", steps=20, guidance_scale=2.0)
    assert not {picture.tobytes() for picture in people} & {picture.tobytes() for picture in trained_on}
