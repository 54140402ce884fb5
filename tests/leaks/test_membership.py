"""The answer on membership: its p-values, and when the question is not tested."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from loraleak.adapters import load_adapter
from loraleak.arms import Scene
from loraleak.assets import DEMO
from loraleak.bases import load_base
from loraleak.bench.cases import draw_cases
from loraleak.leaks import LEAKS, Evidence, Leak, Membership, known_leaks
from loraleak.leaks.membership import ranks_among, smallest_p
from loraleak.people import pictures, read_photos
from loraleak.types import Picture

_DEMO_SEED = 7


@pytest.fixture(scope="module")
def photos() -> list[Picture]:
    """The demo's five photos, and five others of the same person."""
    (case,) = draw_cases("victims", 1, seed=_DEMO_SEED)
    used = [photo.picture for photo in read_photos(DEMO / "photos")]
    return [*used, *pictures(case.person, 5, seed=(_DEMO_SEED, 1))]


def _names(count: int) -> list[str]:
    return [f"{i}.png" for i in range(count)]


def test_it_finds_which_photos_were_used(photos: list[Picture]) -> None:
    scene = Scene(load_base("pocket", device="cpu"), load_adapter(DEMO / "adapter.safetensors"))
    answer = Membership().answer(scene, Evidence(photos[:5], _names(5), photos[5:]))
    assert answer.p_value == pytest.approx(smallest_p(5, 5)) == pytest.approx(1 / 252)
    assert answer.says.startswith("Yes. In 100% of all pairs") and "5 of 5 photos look more familiar" in answer.says
    assert [(photo.path, photo.p_value) for photo in answer.photos] == [(name, pytest.approx(1 / 6)) for name in _names(5)]
    turned = Membership().answer(scene, Evidence(photos[5:], _names(5), photos[:5]))
    assert turned.says.startswith("Not shown. In 0% of all pairs") and turned.p_value == pytest.approx(1.0, abs=0.01)


def test_p_values_are_those_of_counting() -> None:
    rng = np.random.default_rng(1)
    members, others = rng.normal(0.5, 1, 5), rng.normal(0, 1, 7)
    slow = [(1 + sum(other >= member for other in others)) / 8 for member in members]
    assert ranks_among(members, others).tolist() == pytest.approx(slow)
    assert smallest_p(5, 7) == pytest.approx(mannwhitneyu(range(10, 15), range(7), alternative="greater").pvalue)


def test_it_says_why_a_question_is_not_tested(photos: list[Picture]) -> None:
    leak, scene = Membership(), Scene(load_base("pocket", device="cpu"), load_adapter(DEMO / "adapter.safetensors"))
    assert "--held-out" in leak.lacks(scene, Evidence(photos, _names(10)))
    assert "1 held-out photos beside 3 are too few" in leak.lacks(scene, Evidence(photos[:3], _names(3), photos[3:4]))
    assert leak.lacks(scene, Evidence(photos[:3], _names(3), photos[3:6])) == ""


def test_leaks_are_known_by_name() -> None:
    assert known_leaks() == LEAKS
    assert all(isinstance(kind(), Leak) and kind().name == name for name, kind in LEAKS.items())
