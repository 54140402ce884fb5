"""The strength that a stranger chooses: it is found from the file's direction, whatever scale and sign the file states."""

from dataclasses import replace

import pytest
import torch

from loraleak.adapters import load_adapter
from loraleak.arms.strength import ORDINARY, Strength, at_strength, changes_nothing, find_strength
from loraleak.assets import DEMO
from loraleak.bases import DiffusersBase, load_base
from loraleak.types import Adapter


@pytest.fixture(scope="module")
def pocket() -> DiffusersBase:
    return load_base("pocket", device="cpu")


@pytest.fixture(scope="module")
def trained() -> Adapter:
    return load_adapter(DEMO / "adapter.safetensors")


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.arms.strength._WORDS", 4)


def _times(adapter: Adapter, factor: float) -> Adapter:
    return replace(adapter, factors={n: replace(f, scale=(f.scale or 1.0) * factor) for n, f in adapter.factors.items()})


def test_a_trained_file_is_run_as_it_is(pocket: DiffusersBase, trained: Adapter) -> None:
    found = find_strength(pocket, trained, "a photo of a person", guidance_scale=3.0, seed=0)
    assert found.factor == 1 and ORDINARY[0] <= found.stated <= ORDINARY[1] and not found.says
    assert at_strength(trained, found.factor) is trained


def test_a_negated_file_is_turned_round(pocket: DiffusersBase, trained: Adapter) -> None:
    found = find_strength(pocket, _times(trained, -1.0), "a photo of a person", guidance_scale=3.0, seed=0)
    assert found.factor == -1 and "sign" in found.says


def test_faint_huge_and_negated_copies_are_run_alike_and_the_report_says_so(pocket: DiffusersBase, trained: Adapter) -> None:
    copies = (1e-3, 1e4, -1e-4)
    found = [find_strength(pocket, _times(trained, f), "a photo of a person", guidance_scale=3.0, seed=0) for f in copies]
    run_at = [strength.factor * f for strength, f in zip(found, copies, strict=True)]
    assert run_at == pytest.approx([run_at[0]] * 3, rel=0.01) and run_at[0] > 0
    assert all("not ordinary" in strength.says for strength in found)


@pytest.mark.parametrize(
    ("factor", "stated", "says"), [(5.34e-5, 1.46, ("150%", "0.000053")), (-531.0, 1.2e-4, ("0.012%", "-530"))]
)
def test_strengths_are_told_in_digits(factor: float, stated: float, says: tuple[str, str]) -> None:
    told = Strength(factor, both=False, stated=stated).says
    assert f"by {says[0]}," in told and f"at {says[1]} times" in told


def test_a_scale_of_zero_hides_nothing(pocket: DiffusersBase, trained: Adapter) -> None:
    hidden = replace(trained, factors={n: replace(f, scale=0.0) for n, f in trained.factors.items()})
    found = find_strength(pocket, hidden, "a photo of a person", guidance_scale=3.0, seed=0)
    assert found.stated == 0 and found.factor > 0 and "changes nothing" in found.says
    assert all(f.scale == found.factor for f in at_strength(hidden, found.factor).factors.values())


def test_only_a_file_of_zeros_changes_nothing(trained: Adapter) -> None:
    zeros = replace(trained, factors={n: replace(f, up=torch.zeros_like(f.up)) for n, f in trained.factors.items()})
    assert changes_nothing(zeros)
    assert not changes_nothing(trained) and not changes_nothing(_times(trained, 0.0))


def test_a_file_whose_sign_nobody_can_tell_is_tried_both_ways(
    pocket: DiffusersBase, trained: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loraleak.arms.strength._SURE", 1e6)
    for sign in (1.0, -1.0):
        found = find_strength(pocket, _times(trained, sign), "a photo of a person", guidance_scale=3.0, seed=0)
        assert found.both and found.factor == 1 and "both" in found.says
