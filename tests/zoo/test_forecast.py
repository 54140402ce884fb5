"""What a zoo is said to take."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from loraleak.bases import DiffusersBase
from loraleak.people.identities import identities_in
from loraleak.zoo import RecipeRanges, build_zoo, forecast_zoo, plan_zoo

estimate = import_module("loraleak.bases.estimate")


def test_photos_count_once_they_are_read_and_workers_hold_a_program_each(
    people: Path, ranges: RecipeRanges, base: DiffusersBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_program", lambda base: 10**8)  # a process grows while tests run
    ranges = replace(ranges, prior_batch=0)
    plan = plan_zoo(identities_in(people), ranges, together=2)
    before = forecast_zoo(plan, people, base, workers=1)
    planned = plan.shards[0].adapters[0]
    file = people / planned.person / planned.images[0]
    with Image.open(file) as image:
        added = 3 * (4000 * 3000 - image.width * image.height)
    Image.new("RGB", (4000, 3000)).save(file)
    one = forecast_zoo(plan, people, base, workers=1)
    assert one.memory - before.memory == added
    two = forecast_zoo(plan, people, base, workers=2)
    assert two.weights == one.weights and two.working == 2 * one.working and two.program > 2 * one.program
    assert two.seconds == pytest.approx(one.seconds / 2)


def test_a_zoo_without_prior_preservation_draws_no_class_images(
    people: Path, ranges: RecipeRanges, base: DiffusersBase, tmp_path: Path
) -> None:
    plan = plan_zoo(identities_in(people), replace(ranges, prior_batch=0), together=2)
    assert build_zoo(plan, people, str(tmp_path / "zoo"), base) == []
    assert not (tmp_path / "zoo" / "class-images.npy").exists()
