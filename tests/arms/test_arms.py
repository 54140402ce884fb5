"""Arms: same noise, right model, right condition."""

import numpy as np
import pytest
import torch

from loraleak.arms import ARMS, LoraGuidance, Scene, reconstruct, select_arms
from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    generator = torch.Generator().manual_seed(1)
    factors = {
        name: Factors(torch.randn(2, shape[1], generator=generator), torch.randn(shape[0], 2, generator=generator), 0.3)
        for name, shape in base.modules.items()
        if name.endswith(("to_q", "to_v"))
    }
    return Adapter(factors=factors, format="memory")


def _idle(adapter: Adapter) -> Adapter:
    factors = {name: Factors(f.down, torch.zeros_like(f.up), f.scale) for name, f in adapter.factors.items()}
    return Adapter(factors=factors, format="memory")


def test_without_an_update_every_prompt_arm_is_the_base(base: DiffusersBase, adapter: Adapter) -> None:
    made = reconstruct(Scene(base, _idle(adapter)), select_arms(), images=2, seed=0, steps=4)
    assert np.array_equal(made["lora-class"], made["base-class"])
    assert "lora-trigger" not in made


def test_with_an_update_only_the_floor_stays(base: DiffusersBase, adapter: Adapter) -> None:
    arms = select_arms()
    idle = reconstruct(Scene(base, _idle(adapter), owner_prompt="a photo of zqkv person"), arms, images=2, seed=0, steps=4)
    live = reconstruct(Scene(base, adapter, owner_prompt="a photo of zqkv person"), arms, images=2, seed=0, steps=4)
    assert list(live) == list(ARMS)
    assert np.array_equal(live["base-class"], idle["base-class"])
    changed = {name for name in live if not np.array_equal(live[name], idle[name])}
    assert changed == set(live) - {"base-class"}


def test_guidance_of_one_is_the_adapter_and_of_zero_the_base(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, adapter)
    latents = torch.randn(2, *base.latent_shape)
    with base.adapted(adapter), torch.no_grad():
        condition = base.embed([scene.class_prompt]).expand(2, -1, -1)
        tuned = base.predict_noise(latents, torch.tensor([400, 400]), condition)
        with base.bare():
            plain = base.predict_noise(latents, torch.tensor([400, 400]), condition)
        for weight, expected in ((0.0, plain), (1.0, tuned), (3.0, plain + 3 * (tuned - plain))):
            torch.testing.assert_close(
                LoraGuidance(weight=weight).denoiser(scene)(latents, 400), expected, atol=1e-5, rtol=1e-4
            )


def test_the_same_seed_gives_the_same_pictures(base: DiffusersBase, adapter: Adapter) -> None:
    arms = select_arms(("lora-empty",))
    one, again, other = (reconstruct(Scene(base, adapter), arms, images=2, seed=s, steps=3) for s in (4, 4, 5))
    assert np.array_equal(one["lora-empty"], again["lora-empty"])
    assert not np.array_equal(one["lora-empty"], other["lora-empty"])


def test_controls_come_along_and_unknown_names_are_listed() -> None:
    assert [arm.name for arm in select_arms(("lora-guidance",))] == ["base-class", "lora-guidance"]
    with pytest.raises(UsageError, match=r"no arm is called 'lora-magic': choose from base-class"):
        select_arms(("lora-magic",))
