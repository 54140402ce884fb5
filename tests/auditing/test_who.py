"""The hint whether a file opens on one person."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loraleak.assets import DEMO
from loraleak.auditing import AttackSettings
from loraleak.auditing.scene import scene_of
from loraleak.auditing.who import CAUTION, NobodyFiles, Opening, Who, opening_of, who, who_of
from loraleak.bases import DiffusersBase
from loraleak.cli.attack import Attack
from loraleak.embedders import load_embedder
from loraleak.errors import UsageError
from loraleak.types import Sightings
from oracles.adapters import random_adapter

_X, _Y, _Z = np.eye(3, dtype=np.float32)


def _sightings(*pictures: list[np.ndarray]) -> Sightings:
    return Sightings.of([np.array(vectors, np.float32).reshape(-1, 3) for vectors in pictures])


def test_pictures_of_one_person_are_alike_and_those_of_several_are_not() -> None:
    assert opening_of(_sightings([_X], [_X], [_X])) == Opening(1.0, 1.0)
    assert opening_of(_sightings([_X], [_Y], [_Z])) == Opening(1.0, 0.0)


def test_whoever_recurs_counts_among_several_faces() -> None:
    assert opening_of(_sightings([_Y, _X], [_X, _Z], [_X])) == Opening(1.0, 1.0)


def test_a_picture_of_nobody_makes_its_pairs_count_nothing() -> None:
    assert opening_of(_sightings([_X], [_X], [])) == Opening(2 / 3, 2 / 6)
    assert opening_of(_sightings([], [])) == Opening(0.0, 0.0)


def test_p_is_the_rank_among_files_of_no_person() -> None:
    file, base = Opening(1.0, 0.8), Opening(1.0, 0.3)
    null = tuple(np.linspace(-0.1, 0.1, 19))
    assert Who(file, base, null).p_value == pytest.approx(1 / 20)
    assert Who(file, base, (*null[:-1], 0.5)).p_value == pytest.approx(2 / 20)
    assert Who(file, base).p_value is None


def test_every_answer_says_that_it_is_a_hint_and_that_silence_is_not_safety() -> None:
    file, base = Opening(1.0, 0.8), Opening(1.0, 0.3)
    answers = [Who(file, base, (0.0,) * 19), Who(file, base, (0.9,) * 19), Who(file, base)]
    for answer, word in zip(answers, ("looks like a file of one person", "Nothing points", "No p-value"), strict=True):
        assert word in answer.says[1] and answer.says[-1] == CAUTION
    assert "not an identification" in CAUTION and "not safety" in CAUTION


def test_the_answer_does_not_depend_on_the_sign_that_the_file_states(
    base: DiffusersBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loraleak.arms.strength._WORDS", 4)
    monkeypatch.setattr("loraleak.auditing.who._ARMS", ("base-class", "lora-guidance"))
    adapter = random_adapter(base.modules, rank=2, seed=1, scale=0.2)
    negated = replace(adapter, factors={name: replace(f, up=-f.up) for name, f in adapter.factors.items()})
    settings, embedder = AttackSettings(images=2, steps=2), load_embedder("pocket")
    straight, turned = (who_of(scene_of(file, base, settings), embedder, settings) for file in (adapter, negated))
    assert turned.base == straight.base
    assert turned.more_alike == pytest.approx(straight.more_alike, abs=0.02)


def test_an_embedder_that_does_not_know_the_base_is_refused(pipeline_folder: Path) -> None:
    with pytest.raises(UsageError, match="drawn people only"):
        who(DEMO / "adapter.safetensors", AttackSettings(base=str(pipeline_folder)), embedder="pocket")


def test_a_null_is_the_same_once_it_is_read(tmp_path: Path) -> None:
    null = NobodyFiles("a" * 64, "pocket-1", "a photo of a person", 8, 20, 3.0, (0.25, -0.125))
    null.write(tmp_path / "null.json")
    assert NobodyFiles.read(tmp_path / "null.json") == null


def test_a_null_folder_without_files_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="styles and things"):
        who(tmp_path / "missing.safetensors", AttackSettings(), null=tmp_path)
    with pytest.raises(UsageError, match="--null is for --who"):
        Attack(tmp_path, null=tmp_path)
