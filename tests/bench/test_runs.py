"""Adapters are trained once, arms are sampled once, and what is kept equals what a run from nothing gives."""

from pathlib import Path

import numpy as np
import pytest

from loraleak.arms import Arm, select_arms
from loraleak.bases import DiffusersBase
from loraleak.bench import runs
from loraleak.bench.cases import CaseSettings, draw_cases
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.defences.undefended import Undefended
from loraleak.embedders import Embedder
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Sightings

_SETTINGS = CaseSettings(recipe=Recipe(steps=2, rank=1, alpha=1.0, batch=1, prior_batch=0), photos=2, images=2, steps=2)
_CASES = draw_cases("victims", 3, seed=0)


class _Colours:
    """The mean colours of a picture's quarters, as a unit vector."""

    name = "colours"
    same_person = None

    def embed(self, images: list[np.ndarray]) -> Sightings:
        halves = np.stack([image.reshape(2, image.shape[0] // 2, 2, image.shape[1] // 2, 3).mean((1, 3)) for image in images])
        vectors = halves.reshape(len(images), -1).astype(np.float32)
        return Sightings.one_each(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _run(base: DiffusersBase, folder: Path, *arms: str) -> list[CaseResult]:
    return run_cases(base, _Colours(), _CASES, _arms(*arms), _SETTINGS, folder)


def _arms(*names: str) -> tuple[Arm, ...]:
    return select_arms(names)


def test_an_arm_that_is_asked_for_later_uses_the_adapters_that_are_there(
    base: DiffusersBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(_Colours(), Embedder)
    first = _run(base, tmp_path / "a", "lora-class")
    whole = _run(base, tmp_path / "b", "lora-empty", "lora-class")

    sampled: list[list[str]] = []
    monkeypatch.setattr(Undefended, "finetune_together", lambda *_, **__: pytest.fail("trained again"))
    inner = runs.reconstruct
    monkeypatch.setattr(
        runs, "reconstruct", lambda scene, arms, **k: sampled.append([a.name for a in arms]) or inner(scene, arms, **k)
    )
    later = _run(base, tmp_path / "a", "lora-empty", "lora-class")
    assert sampled == [["lora-empty"]] * 3
    for one, two, three in zip(later, whole, first, strict=True):
        assert set(one.arms) == {"base-class", "lora-class", "lora-empty"}
        for name in one.arms:
            # a value of a pixel may be rounded to its neighbour: sums depend on where in memory their numbers lie
            np.testing.assert_allclose(one.arms[name], two.arms[name], atol=1e-3)
        np.testing.assert_array_equal(one.arms["lora-class"], three.arms["lora-class"])


def test_arms_that_lack_an_attack_are_left_out_and_not_tried_again(
    base: DiffusersBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = _run(base, tmp_path, "lora-z", "lora-class")
    assert set(first.arms) == {"base-class", "lora-class"}
    monkeypatch.setattr(runs, "reconstruct", lambda *_, **__: pytest.fail("sampled again"))
    _run(base, tmp_path, "lora-z", "lora-class")


def test_a_stopped_run_goes_on(base: DiffusersBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, calls = runs.reconstruct, iter(range(9))

    def stopped(*arguments: object, **named: object) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return inner(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "reconstruct", stopped)
    with pytest.raises(KeyboardInterrupt):
        _run(base, tmp_path, "lora-class")
    assert len(list(tmp_path.glob("arms-*/*.npz"))) == 1
    results = _run(base, tmp_path, "lora-class")
    assert len(results) == 3
    assert next(calls) == 4
