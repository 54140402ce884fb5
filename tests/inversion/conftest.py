"""A tiny base, a few public people with captions, and a zoo of them that is built in a second."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loraleak.bases import DiffusersBase
from loraleak.inversion.public import PublicPeople, read_public_people
from loraleak.people.identities import identities_in
from loraleak.zoo.build import build_zoo
from loraleak.zoo.plan import plan_zoo
from loraleak.zoo.ranges import RecipeRanges
from loraleak.zoo.store import Zoo

RANGES = RecipeRanges(ranks=(1, 3), steps=(2, 4), images=(2, 3), batch=1, prior_batch=1, class_count=2, snapshots=2)


@pytest.fixture(scope="session")
def people_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public") / "people"
    rng = np.random.default_rng(0)
    for person in range(8):
        home = folder / f"person-{person}"
        home.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(home / f"{i}.png")
            (home / f"{i}.txt").write_text(f"a photo of a person with {('dark', 'pale', 'tan')[person % 3]} skin\n")
    return folder


@pytest.fixture
def zoo(people_folder: Path, base: DiffusersBase) -> Zoo:
    folder = people_folder.with_name("zoo")
    if not folder.exists():
        assert build_zoo(plan_zoo(identities_in(people_folder), RANGES, seed=1, together=4), people_folder, folder, base) == []
    return Zoo(folder)


@pytest.fixture
def public(people_folder: Path, zoo: Zoo, base: DiffusersBase) -> PublicPeople:
    return read_public_people([zoo], identities_in(people_folder), base, held_out=0.4)


@pytest.fixture
def shapes(base: DiffusersBase) -> dict[str, torch.Size]:
    return {name: shape for name, shape in base.modules.items() if name.endswith((".to_k", ".to_v", ".to_out.0"))}
