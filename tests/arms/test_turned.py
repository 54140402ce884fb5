"""Turned attacks: they do what the attacks do to a file of the opposite sign."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from loraleak.arms import LoraClass, LoraGuidance, Scene, Turned, reconstruct, select_arms, with_turned
from loraleak.arms.scene import Arm
from loraleak.bases import DiffusersBase
from loraleak.types import Adapter, Factors


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    generator = torch.Generator().manual_seed(1)
    factors = {
        name: Factors(torch.randn(2, shape[1], generator=generator), torch.randn(shape[0], 2, generator=generator), 0.3)
        for name, shape in base.modules.items()
        if name.startswith("unet.") and name.endswith(("to_k", "to_v"))
    }
    return Adapter(factors=factors, format="memory")


@pytest.mark.parametrize("arm", [LoraClass(), LoraGuidance()], ids=lambda arm: arm.name)
def test_a_turned_arm_makes_what_the_arm_makes_of_the_opposite_file(base: DiffusersBase, adapter: Adapter, arm: Arm) -> None:
    opposite = replace(adapter, factors={n: replace(f, up=-f.up) for n, f in adapter.factors.items()})
    straight = reconstruct(Scene(base, adapter), [arm, Turned(arm)], images=2, seed=0, steps=2)
    (expected,) = reconstruct(Scene(base, opposite), [arm], images=2, seed=0, steps=2).values()
    assert np.abs(straight[f"{arm.name}-turned"].astype(int) - expected).max() <= 1
    assert np.abs(straight[arm.name].astype(int) - expected).max() > 1


def test_only_attacks_are_turned_and_keep_their_controls() -> None:
    arms = with_turned(select_arms(("lora-class", "lora-trigger")))
    assert [arm.name for arm in arms] == ["base-class", "lora-class", "lora-trigger", "lora-class-turned"]
    assert arms[-1].control == "base-class" and arms[-1].role == "attack" and "opposite sign" in arms[-1].says
