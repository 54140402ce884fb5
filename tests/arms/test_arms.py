"""Arms: same noise, right model, right condition."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from loraleak.arms import ARMS, Arm, LoraGuidance, Scene, reconstruct, select_arms
from loraleak.bases import Denoiser, DiffusersBase, guided, sample
from loraleak.errors import UsageError
from loraleak.inversion.weight_autoencoder import WeightAutoencoder, new_encoder
from loraleak.types import Adapter, ArmRole, Factors


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    generator = torch.Generator().manual_seed(1)
    factors = {
        name: Factors(torch.randn(2, shape[1], generator=generator), torch.randn(shape[0], 2, generator=generator), 0.3)
        for name, shape in base.modules.items()
        if name.endswith(("to_q", "to_v"))
    }
    return Adapter(factors=factors, format="memory")


@pytest.fixture
def attack(base: DiffusersBase, adapter: Adapter) -> WeightAutoencoder:
    """Untrained: its z is a function of the weights, and no more is asked of it here."""
    torch.manual_seed(2)
    encoder = new_encoder("invariant", {name: base.modules[name] for name in adapter.factors}, base, steps=True).eval()
    torch.nn.init.normal_(encoder.mean.weight, std=0.3)
    mean_z, universal_z, *others = torch.randn(6, *base.condition_shape)
    return WeightAutoencoder("invariant", "file", encoder, base.sha256, torch.stack(others), mean_z, universal_z)


def _idle(adapter: Adapter) -> Adapter:
    factors = {name: Factors(f.down, torch.zeros_like(f.up), f.scale) for name, f in adapter.factors.items()}
    return Adapter(factors=factors, format="memory")


def test_without_an_update_every_prompt_arm_is_the_base(base: DiffusersBase, adapter: Adapter) -> None:
    made = reconstruct(Scene(base, _idle(adapter)), select_arms(), images=2, seed=0, steps=4)
    assert np.array_equal(made["lora-class"], made["base-class"])
    assert set(made) == {"base-class", "lora-class", "lora-empty", "lora-guidance"}  # no owner's prompt, and no attack


def test_with_an_update_only_the_floor_stays(base: DiffusersBase, adapter: Adapter, attack: WeightAutoencoder) -> None:
    arms = select_arms()
    idle, live = (
        reconstruct(Scene(base, each, owner_prompt="a photo of zqkv person", attack=attack), arms, images=2, seed=0, steps=4)
        for each in (_idle(adapter), adapter)
    )
    assert list(live) == list(ARMS)
    assert np.array_equal(live["base-class"], idle["base-class"])
    changed = {name for name in live if not np.array_equal(live[name], idle[name])}
    assert changed == set(live) - {"base-class"}


def test_guidance_of_one_is_the_adapter_and_of_zero_the_base(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, adapter)
    latents = torch.randn(2, *base.latent_shape)
    with base.adapted(adapter), torch.no_grad():
        condition = base.embed([scene.class_prompt]).expand(2, -1, -1)
        tuned = base.predict(latents, torch.tensor([400, 400]), condition)
        with base.bare():
            plain = base.predict(latents, torch.tensor([400, 400]), condition)
        for weight, expected in ((0.0, plain), (1.0, tuned), (3.0, plain + 3 * (tuned - plain))):
            torch.testing.assert_close(
                LoraGuidance(weight=weight).denoiser(scene)(latents, 400), expected, atol=1e-5, rtol=1e-4
            )


def test_the_same_seed_gives_the_same_pictures(base: DiffusersBase, adapter: Adapter) -> None:
    arms = select_arms(("lora-empty",))
    one, again, other = (reconstruct(Scene(base, adapter), arms, images=2, seed=s, steps=3) for s in (4, 4, 5))
    assert np.array_equal(one["lora-empty"], again["lora-empty"])
    assert not np.array_equal(one["lora-empty"], other["lora-empty"])


def test_z_arms_decode_what_their_names_say(base: DiffusersBase, adapter: Adapter, attack: WeightAutoencoder) -> None:
    scene = Scene(base, adapter, attack=attack, guidance_scale=2.0, seed=3)
    z = attack.encode([adapter]).mean[0]
    swapped = attack.others[torch.randperm(4, generator=torch.Generator().manual_seed(3))]
    latents, times = torch.randn(2, *base.latent_shape), torch.tensor([400, 400])
    arms = {arm.name: arm for arm in select_arms()}
    with base.adapted(adapter), torch.no_grad():
        empty = base.embed([""]).expand(2, -1, -1)

        def guided_by(codes: torch.Tensor) -> torch.Tensor:
            with base.bare():
                without = base.predict(latents, times, empty)
            return without + 2 * (base.predict(latents, times, codes) - without)

        def same(name: str, expected: torch.Tensor) -> None:
            torch.testing.assert_close(arms[name].denoiser(scene)(latents, 400), expected, atol=1e-4, rtol=1e-3)

        same("lora-z", guided_by(z.expand(2, -1, -1)))
        same("lora-mean-z", guided_by(attack.mean_z.expand(2, -1, -1)))
        same("lora-universal-z", guided_by(attack.universal_z.expand(2, -1, -1)))
        same("lora-swapped-z", guided_by(swapped[:2]))
        tuned = base.predict(latents, times, z.expand(2, -1, -1))
        with base.bare():
            plain = base.predict(latents, times, z.expand(2, -1, -1))
        same("lora-z-guidance", guided_by(z.expand(2, -1, -1)) + tuned - plain)
        both = (guided_by(z.expand(2, -1, -1)) + guided_by(attack.universal_z.expand(2, -1, -1))) / 2
        same("lora-z-key", both)
    with torch.no_grad():
        bare = base.predict(latents, times, empty)
        expected = bare + 2 * (base.predict(latents, times, z.expand(2, -1, -1)) - bare)
    with base.adapted(adapter), torch.no_grad():
        same("base-z", expected)
        assert not torch.allclose(arms["lora-z"].denoiser(scene)(latents, 400), expected, atol=1e-2)


def test_arms_together_make_the_pictures_of_each_alone_in_fewer_passes(
    base: DiffusersBase, adapter: Adapter, attack: WeightAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(base, adapter, owner_prompt="a photo of zqkv person", attack=attack)
    arms, images, steps = select_arms(), 2, 3
    passes, denoise = [], base._denoise

    def counted(latents: Tensor, *rest: Any) -> Tensor:
        passes.append(len(latents))
        return denoise(latents, *rest)

    monkeypatch.setattr(base, "_denoise", counted)
    together = reconstruct(scene, arms, images=images, seed=0, steps=steps)
    assert sum(passes) == images * (11 + (steps - 1) * 27)  # 28 passes a step and picture, if nothing is shared
    passes.clear()
    with base.adapted(adapter):
        for arm in arms:
            denoiser = arm.denoiser(scene)
            assert denoiser is not None
            alone = sample(base, lambda *noisy, of=denoiser: of(*noisy), images, seed=0, steps=steps)
            levels = np.abs(together[arm.name].astype(int) - alone)
            assert levels.max() <= 1 and (levels > 0).mean() < 0.01  # float32, in batches of other sizes
    assert sum(passes) == images * steps * 27


def test_an_arm_with_a_denoiser_of_its_own_is_sampled_beside_the_others(base: DiffusersBase, adapter: Adapter) -> None:
    @dataclass(frozen=True)
    class Half(Arm):
        name: str = "half"
        role: ArmRole = "attack"
        says: str = "Half of what the empty prompt predicts."
        control: str | None = "base-class"

        def denoiser(self, scene: Scene) -> Denoiser:
            (empty,) = scene.base.embed([""])
            return lambda latents, timestep: guided(scene.base, empty, empty, 1.0)(latents, timestep) / 2

    arms = (*select_arms(("lora-class",)), Half(), *select_arms(("lora-empty",)))
    made = reconstruct(Scene(base, adapter), arms, images=2, seed=0, steps=2)
    assert list(made) == ["base-class", "lora-class", "half", "lora-empty"]
    (alone,) = reconstruct(Scene(base, adapter), [Half()], images=2, seed=0, steps=2).values()
    assert np.array_equal(made["half"], alone)
    assert not np.array_equal(made["half"], made["lora-empty"])


def test_random_codes_have_the_mean_and_spread_of_public_ones(attack: WeightAutoencoder) -> None:
    codes = attack.random_z(4000, seed=0).flatten(1)
    others = attack.others.flatten(1)
    torch.testing.assert_close(codes.mean(0), others.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(codes.T.cov(), others.T.cov(correction=0), atol=0.4, rtol=0.1)


def test_controls_come_along_and_unknown_names_are_listed() -> None:
    assert [arm.name for arm in select_arms(("lora-guidance",))] == ["base-class", "lora-guidance"]
    assert [arm.name for arm in select_arms(("lora-z",))] == ["base-class", "lora-swapped-z", "lora-z"]
    with pytest.raises(UsageError, match=r"no arm is called 'lora-magic': choose from base-class"):
        select_arms(("lora-magic",))
