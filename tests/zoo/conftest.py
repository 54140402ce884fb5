"""A few people and a plan that is built in a second."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loraleak.people.identities import identities_in
from loraleak.zoo.plan import ZooPlan, plan_zoo
from loraleak.zoo.ranges import RecipeRanges


@pytest.fixture
def ranges() -> RecipeRanges:
    return RecipeRanges(
        ranks=(1, 3), steps=(2, 4), images=(2, 3), batch=1, prior_batch=1, class_count=2, snapshots=2, prior_share=0.5
    )


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for person in range(5):
        folder = tmp_path / "people" / f"person-{person}"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "people"


@pytest.fixture
def plan(people: Path, ranges: RecipeRanges) -> ZooPlan:
    return plan_zoo(identities_in(people), ranges, seed=1, together=2)
