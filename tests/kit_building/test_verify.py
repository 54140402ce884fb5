"""What `kit verify` refuses before it trains anybody."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loraleak.assets import POCKET_KIT
from loraleak.bases import DiffusersBase, load_base
from loraleak.bench.doubles import know
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.finetuning import Recipe
from loraleak.kit_building import verify_kit
from loraleak.kits import Kit, read_kit
from loraleak.people import identities_in


class _WithThreshold:
    name = "pocket-people-1"
    same_person = 0.4

    def __init__(self) -> None:
        self.embed = load_embedder("pocket").embed


def _verify(kit: Kit, people: Path, work: Path, base: DiffusersBase, embedder: Embedder | None = None) -> None:
    verify_kit(kit, people, work, base, embedder or load_embedder("pocket"), recipe=Recipe())


def test_another_base_or_embedder_or_no_templates(people: Path, base: DiffusersBase, tmp_path: Path) -> None:
    kit = read_kit(POCKET_KIT)
    with pytest.raises(UsageError, match="the kit is for the base pocket"):
        _verify(kit, people, tmp_path, base)
    pocket = load_base("pocket", device="cpu")
    with pytest.raises(UsageError, match="the kit is for the embedder pocket, and this is other"):
        _verify(replace(kit, sampling=replace(kit.sampling, embedder="x")), people, tmp_path, pocket, _Named("other"))
    with pytest.raises(UsageError, match="no templates of other people"):
        _verify(kit.without_templates(), people, tmp_path, pocket)
    assert not list(tmp_path.glob("quality"))


class _Named(_WithThreshold):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def test_people_of_the_kit_are_refused(people: Path, tmp_path: Path) -> None:
    kit, embedder = read_kit(POCKET_KIT), _WithThreshold()
    assert kit.controls is not None
    (first, *_) = know(identities_in(people), embedder, tmp_path / "people")
    theirs = replace(kit.controls, people=(np.asarray(first.vectors), *kit.people[1:]))
    with pytest.raises(UsageError, match=f"{first.identity.name}.*the kit has templates of these people"):
        _verify(replace(kit, controls=theirs), people, tmp_path, load_base("pocket", device="cpu"), embedder)
