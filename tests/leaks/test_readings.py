"""Answers that come from readers of weights: traits and the number of photos."""

from dataclasses import replace

import pytest

from loraleak.arms import Scene
from loraleak.bases import DiffusersBase
from loraleak.leaks import DatasetSize, Evidence, Traits
from loraleak.readers import Readers, learn_readers
from oracles.planted_adapters import made_adapter, planted_samples


@pytest.fixture
def readers(base: DiffusersBase, tmp_path_factory: pytest.TempPathFactory) -> Readers:
    learned = learn_readers(planted_samples(tmp_path_factory.mktemp("zoo")), kept_apart=20)
    return replace(learned, card=replace(learned.card, base_sha256=base.sha256))


def test_words_are_told_with_their_confidence_and_what_is_usual(base: DiffusersBase, readers: Readers) -> None:
    answer = Traits().answer(Scene(base, made_adapter("round", 5, 999)), Evidence(readers=readers))
    (word,) = answer.readings
    assert (word.trait, word.value, word.sensitive) == ("glasses", "round", False)
    assert word.usual == pytest.approx(0.5, abs=0.1) and word.right is not None and word.confidence > 0.8
    assert f"glasses: round ({word.confidence:.0%})" in answer.says and answer.null


def test_sensitive_words_are_told_with_the_reason(base: DiffusersBase, readers: Readers) -> None:
    (trait,) = readers.card.traits
    skin = replace(readers, card=replace(readers.card, traits=(replace(trait, name="skin"),)))
    answer = Traits().answer(Scene(base, made_adapter("round", 5, 999)), Evidence(readers=skin))
    assert "You see skin here because a stranger could read it too" in answer.says and answer.readings[0].sensitive


def test_the_number_stands_beside_a_guess(base: DiffusersBase, readers: Readers) -> None:
    answer = DatasetSize().answer(Scene(base, made_adapter("none", 40, 999)), Evidence(readers=readers))
    assert answer.says.startswith("Roughly. The weights look like ") and "by a factor of" in answer.null
    measured = readers.card.measured
    assert measured is not None
    blind = replace(readers, card=replace(readers.card, measured=replace(measured, size_error=measured.size_guess)))
    assert (
        DatasetSize().answer(Scene(base, made_adapter("none", 40, 999)), Evidence(readers=blind)).says.startswith("Not shown.")
    )


@pytest.mark.parametrize("leak", [Traits(), DatasetSize()], ids=lambda leak: leak.name)
def test_they_say_why_a_question_is_not_tested(base: DiffusersBase, readers: Readers, leak: Traits | DatasetSize) -> None:
    scene = Scene(base, made_adapter("round", 5, 1))
    assert leak.lacks(scene, Evidence(readers=readers)) == ""
    assert "kit with readers" in leak.lacks(scene, Evidence())
    other = replace(readers, card=replace(readers.card, base_sha256="b" * 64))
    assert "another base" in leak.lacks(scene, Evidence(readers=other))
    partly = replace(scene.adapter, factors=dict(list(scene.adapter.factors.items())[:1]))
    assert "other layers" in leak.lacks(replace(scene, adapter=partly), Evidence(readers=readers))
    empty = replace(readers, card=replace(readers.card, traits=(), size=None))
    assert "no reader of" in leak.lacks(scene, Evidence(readers=empty))
