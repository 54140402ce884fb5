"""Against control adapters: p-values are uniform when the adapter knows nothing, and small when it knows the person."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from loraleak.auditing.nulls.controls import against_controls
from loraleak.auditing.verdict import verdict_of
from loraleak.errors import UsageError
from loraleak.kits import Controls, SamplingSetup
from loraleak.scores import evidence, template
from loraleak.types import Sightings

ATTACKS = ("lora-class", "lora-empty")
DIM = 12
_SAMPLING = SamplingSetup("abc", "pocket-1", "a photo of a person", 20, 2.0)


def _units(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """One adapter, the photos, and the controls, as small made-up embeddings."""

    arms: Mapping[str, np.ndarray]
    photos: np.ndarray
    controls: Controls


def _sightings(vectors: np.ndarray) -> Sightings:
    """One vector for each picture of each control."""
    return Sightings.one_each(vectors.reshape(-1, vectors.shape[-1]))


def _array(controls: Controls, name: str) -> np.ndarray:
    return controls.arms[name].vectors.reshape(len(controls), controls.images, -1)


def _case(
    rng: np.random.Generator, *, count: int = 39, images: int = 4, own_images: int = 4, own: float = 1.0, leak: float = 0.0
) -> Case:
    """All pictures share a style, each adapter shows a person of its own (`own`: how much), ours leaks the person of the photos."""
    person = _units(rng.standard_normal(DIM))
    style = rng.standard_normal(DIM)
    trained_on = style + own * rng.standard_normal((count + 1, 1, DIM))
    trained_on[-1] += leak * person
    made = {name: _units(trained_on + rng.standard_normal((count + 1, max(images, own_images), DIM))) for name in ATTACKS}
    base = _units(style + rng.standard_normal((own_images, DIM)))
    return Case(
        arms={"base-class": base, **{name: vectors[-1, :own_images] for name, vectors in made.items()}},
        photos=_units(person + 0.1 * rng.standard_normal((3, DIM))),
        controls=Controls(
            sampling=_SAMPLING,
            arms={name: _sightings(vectors[:-1, :images]) for name, vectors in made.items()},
            images=images,
            cohort=_units(rng.standard_normal((25, DIM))),
            people=tuple(_units(rng.standard_normal((25, 2, DIM)))),
        ),
    )


def _p(case: Case) -> float:
    return against_controls(case.arms, case.photos, case.controls, ATTACKS).p_value


# ---- against controls


@pytest.mark.parametrize("own_images", [4, 2, 16], ids=["as many pictures as the controls", "fewer", "more"])
def test_p_is_uniform_when_the_adapter_was_trained_on_another_person(own_images: int) -> None:
    rng = np.random.default_rng(own_images)
    p = np.array([_p(_case(rng, own_images=own_images, own=0.2)) for _ in range(400)])
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=3.3 * (level * (1 - level) / 400) ** 0.5)
    assert p.mean() == pytest.approx(0.5125, abs=0.05)


def test_p_takes_each_of_its_values_once_over_all_choices_of_the_odd_one() -> None:
    """Exactness: whichever of 20 adapters is audited against the other 19, the 20 p-values are 1/20, 2/20, ... 20/20."""
    case = _case(np.random.default_rng(0), count=19)
    everyone = {name: np.concatenate([_array(case.controls, name), case.arms[name][None]]) for name in ATTACKS}
    p = []
    for i in range(20):
        others = replace(case.controls, arms={name: _sightings(np.delete(v, i, axis=0)) for name, v in everyone.items()})
        p.append(_p(replace(case, arms={name: v[i] for name, v in everyone.items()}, controls=others)))
    assert sorted(p) == pytest.approx(np.arange(1, 21) / 20)


def test_an_adapter_that_leaks_is_found() -> None:
    rng = np.random.default_rng(1)
    cases = [_case(rng, count=99, leak=6.0) for _ in range(60)]
    verdicts = [against_controls(c.arms, c.photos, c.controls, ATTACKS) for c in cases]
    assert np.mean([v.p_value <= 0.05 for v in verdicts]) > 0.9
    assert min(v.p_value for v in verdicts) == 0.01


def test_one_leaking_arm_is_enough_and_its_own_figures_are_told() -> None:
    case = _case(np.random.default_rng(2), count=99)
    leaking = {**case.arms, "lora-empty": _units(case.photos[[0]] + 0.05 * np.ones((4, DIM)))}
    verdict = against_controls(leaking, case.photos, case.controls, ATTACKS)
    assert verdict.p_value == 0.01
    assert "0 of 99 adapters" in verdict.reasons[0] and "lora-empty" in verdict.reasons[1]
    target = template(case.photos)
    own = evidence(leaking["lora-empty"], target, case.controls.cohort)
    others = np.median(evidence(_array(case.controls, "lora-empty"), target, case.controls.cohort))
    assert f"{own:.1f} standard deviations" in verdict.reasons[1] and f"are {others:.1f}." in verdict.reasons[1]
    assert "99 control adapters" in verdict.says and verdict.smallest_p == 0.01


@pytest.mark.parametrize(("beaten_by", "level"), [(0, "high"), (1, "review"), (4, "review"), (5, "low")])
def test_levels_follow_p(beaten_by: int, level: str) -> None:
    """100 pictures at rising angles to the photos: how many are nearer decides, 1% and 5% inclusive."""
    angles = np.linspace(0.2, 1.4, 100)
    pictures = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None, :]
    cohort = _units(np.array([[0.0, 1.0], [0.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])).astype(np.float64)
    verdict = against_controls(
        {"lora-class": pictures[beaten_by]},
        np.array([[1.0, 0.0]]),
        Controls(
            _SAMPLING, {"lora-class": _sightings(np.delete(pictures, beaten_by, axis=0))}, 1, cohort, tuple(cohort[:, None])
        ),
        ("lora-class",),
    )
    assert verdict.p_value == pytest.approx((1 + beaten_by) / 100)
    assert verdict_of([verdict]).level == level


@pytest.mark.parametrize("value", [0.0, DIM**-0.5], ids=["zero", "constant"])
def test_an_embedder_that_sees_nothing_finds_nothing(value: float) -> None:
    def blind(vectors: np.ndarray) -> np.ndarray:
        return np.full_like(vectors, value)

    case = _case(np.random.default_rng(3))
    controls = replace(
        case.controls,
        arms={n: _sightings(blind(_array(case.controls, n))) for n in ATTACKS},
        cohort=blind(case.controls.cohort),
    )
    verdict = against_controls({n: blind(v) for n, v in case.arms.items()}, blind(case.photos), controls, ATTACKS)
    assert verdict.p_value == 1.0
    assert "nan" not in " ".join(verdict.reasons)


def test_arms_that_only_one_side_has_are_left_out() -> None:
    case = _case(np.random.default_rng(4))
    only = against_controls({"lora-class": case.arms["lora-class"]}, case.photos, case.controls, ATTACKS)
    also = replace(case.controls, arms={"lora-class": case.controls.arms["lora-class"]})
    assert only.p_value == against_controls(case.arms, case.photos, also, ATTACKS).p_value


def test_the_verdict_does_not_hang_on_the_order_of_controls_or_pictures() -> None:
    rng = np.random.default_rng(5)
    case = _case(rng)
    order, pictures = rng.permutation(39), rng.permutation(4)
    shuffled = replace(
        case,
        arms={name: v[pictures] for name, v in case.arms.items()},
        controls=replace(case.controls, arms={name: _sightings(_array(case.controls, name)[order]) for name in ATTACKS}),
    )
    assert _p(shuffled) == _p(case)


def test_without_any_attack_arm_there_is_nothing_to_judge_by() -> None:
    case = _case(np.random.default_rng(11))
    with pytest.raises(UsageError, match="add lora-class"):
        against_controls({"base-class": case.arms["base-class"]}, case.photos, case.controls, ATTACKS)


def test_of_several_faces_the_one_counts_that_suits_the_owner_best_for_controls_too() -> None:
    rng = np.random.default_rng(5)
    case = _case(rng, count=9, images=2, own_images=2)
    strangers = _units(rng.standard_normal((9 * 2, DIM)))
    owner = np.repeat(case.photos[:1], 9 * 2, axis=0)
    both = np.stack([strangers, owner], axis=1).reshape(-1, DIM)
    crowded = {name: Sightings(both, np.full(18, 2)) for name in ATTACKS}
    assert _p(replace(case, controls=replace(case.controls, arms=crowded))) == 1.0
    nobody = {name: Sightings(np.zeros((0, DIM)), np.zeros(18, np.int64)) for name in ATTACKS}
    leaking = replace(case, arms=dict.fromkeys(ATTACKS, owner[:2]))
    assert _p(replace(leaking, controls=replace(case.controls, arms=nobody))) == 0.1
