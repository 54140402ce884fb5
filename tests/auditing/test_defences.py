"""The study of defences: what it samples and recommends, and how that is told."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from loraleak.arms import Scene
from loraleak.auditing import defences
from loraleak.auditing.defences import recommended, study_defences
from loraleak.bases import DiffusersBase
from loraleak.defences import PostHoc, finetune, parse_defence
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.reporting.report import Report
from loraleak.reporting.results import DefenceResult, DefenceStudy
from loraleak.reporting.words import conclusion, scrub_command
from loraleak.types import Adapter, Embeddings, Images, Interval


def _embed(images: Images) -> Embeddings:
    """Coarse pixels, centred: near pictures have near vectors."""
    coarse = images[:, ::4, ::4].reshape(len(images), -1).astype(np.float32) - 127.5
    return coarse / np.linalg.norm(coarse, axis=1, keepdims=True)


@pytest.fixture
def adapter(base: DiffusersBase, private_images: Images) -> Adapter:
    return finetune(base, private_images, Recipe(steps=2, rank=2, class_count=2, prior_batch=0), quiet=True).adapter


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("rank-truncation:rank=2", "rank-truncation:rank=1", "spectral-alignment:keep=0.5", "random-refactoring")
    monkeypatch.setattr(defences, "_SETTINGS", settings)
    monkeypatch.setattr(defences, "known_defences", dict)


def test_a_study_samples_attacks_and_owner_for_every_setting_that_applies(
    base: DiffusersBase, adapter: Adapter, private_images: Images, few: None
) -> None:
    scene = Scene(base, adapter, owner_prompt="a photo of sks person")
    photos = _embed(private_images)
    study = study_defences(scene, photos, _embed, ["lora-class", "lora-empty"], images=3, steps=2)
    names = [result.defence for result in study.tried]
    assert names == ["rank-truncation:rank=1", "spectral-alignment:keep=0.5,top=0.25", "random-refactoring:seed=0"]
    assert [result.needs_base for result in study.tried] == [False, True, False]
    assert study.undefended.leak.change == Interval(0.0, 0.0, 0.0) and study.undefended.leak_kept in (1.0, None)
    for result in (study.undefended, *study.tried):
        assert result.leak.arm in study.attacks and len(result.leak.images) == 3
        assert result.use is not None and result.use.arm == "lora-trigger"
    assert study.undefended.trial is None and {result.trial for result in study.tried} == {"untried"}
    placebo = study.tried[-1]
    assert np.abs(placebo.leak.images.astype(int) - study.undefended.leak.images).max() <= 2
    assert abs(placebo.leak.change.mean) < 1e-2
    assert study.recommended != 2


def test_the_leak_is_that_of_the_attack_that_comes_nearest(
    base: DiffusersBase, adapter: Adapter, private_images: Images, few: None
) -> None:
    scene, photos = Scene(base, adapter), _embed(private_images)

    def leak(attacks: Sequence[str]) -> float:
        return study_defences(scene, photos, _embed, attacks, images=2, steps=2).undefended.leak.excess.mean

    alone = {name: leak([name]) for name in ("lora-class", "lora-empty")}
    assert leak(tuple(alone)) == max(alone.values())


def test_without_the_owners_prompt_use_is_not_known_and_nothing_is_recommended(
    base: DiffusersBase, adapter: Adapter, private_images: Images, few: None
) -> None:
    study = study_defences(Scene(base, adapter), _embed(private_images), _embed, ["lora-class"], images=2, steps=2)
    assert study.undefended.use is None and study.recommended is None
    assert all(result.use is None and result.use_kept is None for result in study.tried)


def test_a_file_with_tensors_that_no_defence_reaches_is_refused(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, replace(adapter, residue=("strange",)))
    with pytest.raises(UsageError, match="without --defences"):
        study_defences(scene, np.ones((1, 4), np.float32), _embed, ["lora-class"], images=2, steps=2)


def test_every_setting_is_one_that_parses(adapter: Adapter) -> None:
    settings = defences._settings()
    assert len(settings) >= len(defences._SETTINGS)
    assert all(isinstance(defence, PostHoc) for defence in settings)
    unchanging = {defence.name for defence in settings if not defence.changes_weights(adapter)}
    assert unchanging == {"metadata-scrub", "rank-truncation"}  # to a rank that the adapter does not exceed


def _changed(
    result: DefenceResult, leak: float, leak_kept: float, use_kept: float | None, high: float = -0.01
) -> DefenceResult:
    change = Interval(high - 0.05, high - 0.1, high)
    side = replace(result.leak, excess=Interval(leak, leak - 0.1, leak + 0.1), change=change)
    return replace(result, leak=side, leak_kept=leak_kept, use_kept=use_kept)


def test_the_least_leak_among_those_worth_their_price(study: DefenceStudy) -> None:
    any_result = study.tried[0]
    tried = [
        _changed(any_result, 0.05, 0.1, 0.79),  # costs too much
        _changed(any_result, 0.2, 0.4, 0.8),
        _changed(any_result, 0.3, 0.5, 1.0),
        _changed(any_result, 0.1, 0.51, 0.85),  # leaves too much
        _changed(any_result, 0.1, 0.2, 0.9, high=0.01),  # may be chance
        _changed(any_result, 0.1, 0.2, None),  # use is not known
        replace(_changed(any_result, 0.05, 0.1, 0.9), trial="fell"),  # to an attack that is trained against it
        replace(_changed(any_result, 0.05, 0.1, 0.9), trial="undone"),  # by running the file at a higher strength
    ]
    assert recommended(tried) == 1
    assert recommended(tried[:1] + tried[3:]) is None


def test_the_conclusion_says_what_was_found(study: DefenceStudy) -> None:
    assert "Of 3 settings, rank-truncation:rank=2 leaves the least" in conclusion(study)
    assert "34% of the leak and 92% of the use stay." in conclusion(study)
    none = replace(study, recommended=None)
    assert "None of 3 settings leaves 50% of the leak or less and keeps 80% of the use." in conclusion(none)
    assert "The best that keeps it, rank-truncation:rank=2, leaves 34%" in conclusion(none)
    unknown = replace(none, undefended=replace(none.undefended, use=None, use_kept=None))
    assert "--prompt" in conclusion(unknown)
    useless = replace(none, undefended=replace(none.undefended, use_kept=None))
    assert "no use to keep" in conclusion(useless)
    fallen = replace(none, tried=tuple(replace(result, trial="fell") for result in study.tried))
    assert "rank-truncation:rank=2 leaves 34% of the leak to the attacks shown" in conclusion(fallen)
    assert "trains an attack against it sees more, so none is recommended" in conclusion(fallen)
    undone = replace(none, tried=tuple(replace(result, trial="undone") for result in study.tried))
    assert "a stranger runs the file at a higher strength, so none is recommended" in conclusion(undone)
    harmless = replace(none, undefended=replace(none.undefended, leak_kept=None))
    assert "no leak here that a defence could lower" in conclusion(harmless)


def test_the_command_is_one_that_a_shell_takes(report: Report, study: DefenceStudy) -> None:
    report = replace(report, adapter_path="my $(lora).safetensors", base="org/my base", defences=study)
    expected = ["loraleak", "scrub", "my $(lora).safetensors", "-o", "my $(lora)-defended.safetensors"]
    assert shlex.split(scrub_command(report)) == [*expected, "--defence", "rank-truncation:rank=2"]
    with_base = replace(study, tried=(replace(study.tried[0], needs_base=True), *study.tried[1:]))
    assert shlex.split(scrub_command(replace(report, defences=with_base)))[-2:] == ["--base", "org/my base"]
    assert scrub_command(replace(report, defences=replace(study, recommended=None))) == ""
    assert scrub_command(replace(report, defences=None)) == ""


def test_json_lists_what_was_tried(report: Report, study: DefenceStudy) -> None:
    assert report.to_json()["defences"] == []
    listed = replace(report, defences=study).to_json()["defences"]
    assert json.loads(json.dumps(listed, allow_nan=False)) == listed
    assert [entry["defence"] for entry in listed] == [None, *(result.defence for result in study.tried)]
    assert [entry["recommended"] for entry in listed] == [False, True, False, False]
    assert listed[1]["leak"]["arm"] == "lora-class" and listed[1]["leak"]["over"] == "base-class"
    assert set(listed[1]["leak"]["excess"]) == {"mean", "low", "high"} == set(listed[1]["use"]["change"])
    assert listed[1]["use_kept"] == 0.66 / 0.72


def test_the_card_has_a_table_of_them(report: Report, study: DefenceStudy) -> None:
    text = replace(report, defences=study).to_markdown()
    assert "| rank-truncation:rank=2 | 0.21 [0.17, 0.26] (34%) | 0.66 [0.62, 0.71] (92%) |" in text
    assert "<script" not in text and all(c.isprintable() or c == "\n" for c in text)
    assert len(re.findall(r"^\| .+ \|$", text, re.MULTILINE)) == 2 + len(report.arms) + 1 + len(study.tried)


def test_the_measured_defence_is_the_one_that_scrub_applies(study: DefenceStudy) -> None:
    assert parse_defence(study.tried[0].defence) == parse_defence("rank-truncation:rank=2")
