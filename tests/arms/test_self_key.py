"""The self-key: words and then a gradient, by the two models alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from loraleak.arms import ARMS, LoraSelfKey, Scene, forecast, reconstruct, select_arms, usual_arms
from loraleak.arms.probes import Probes, noisy_probes, rare_prompts
from loraleak.arms.self_key import difference, find_key
from loraleak.bases import DiffusersBase
from loraleak.types import Adapter, Factors

SEARCH = LoraSelfKey(words=3, steps=4, pictures=3, reach=0.3)


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    generator = torch.Generator().manual_seed(1)
    factors = {
        name: Factors(torch.randn(2, shape[1], generator=generator), torch.randn(shape[0], 2, generator=generator), 0.3)
        for name, shape in base.modules.items()
        if name.startswith("unet.") and name.endswith(("to_k", "to_v"))
    }
    return Adapter(factors=factors, format="memory")


def _probes(base: DiffusersBase, seed: int = 3) -> Probes:
    generator = torch.Generator().manual_seed(seed)
    return noisy_probes(base, torch.randn(4, *base.latent_shape, generator=generator), generator)


def test_the_difference_is_that_of_the_pictures_behind_the_noise(base: DiffusersBase, adapter: Adapter) -> None:
    probes = _probes(base)
    tuned, plain = base.embed(["a photo of zqkv person", "a photo of a person"])
    abar = base.schedule.alphas_cumprod[probes.timesteps].view(-1, 1, 1, 1)

    def picture(condition: torch.Tensor) -> torch.Tensor:
        noise = base.predict(probes.noisy, probes.timesteps, condition.expand(4, -1, -1))
        return (probes.noisy - (1 - abar).sqrt() * noise) / abar.sqrt()

    with base.adapted(adapter), torch.no_grad():
        after = picture(tuned)
        with base.bare():
            before = picture(plain)
        expected = (after - before).square().mean()
        torch.testing.assert_close(difference(base, probes, tuned, plain), expected, atol=0, rtol=1e-3)
    with torch.no_grad():
        assert difference(base, probes, plain, plain) == 0


def test_levels_are_noisy_and_all_different(base: DiffusersBase) -> None:
    timesteps = _probes(base).timesteps
    assert len(set(timesteps.tolist())) == 4
    assert timesteps.min() >= 0.6 * base.noise_levels


def test_words_stand_where_owners_put_a_trigger() -> None:
    prompts = rare_prompts("a photo of a person", 5, seed=0)
    assert len(set(prompts)) == 5
    for prompt in prompts:
        assert prompt.startswith("a photo of ") and prompt.endswith(" person") and len(prompt.split()[3]) == 4
    assert prompts == rare_prompts("a photo of a person", 5, seed=0) != rare_prompts("a photo of a person", 5, seed=1)


def test_the_best_word_is_chosen_and_then_improved_within_reach(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, adapter, seed=4)
    with base.adapted(adapter):
        word = find_key(scene, replace(SEARCH, steps=0))
        key = find_key(scene, SEARCH)
        embedded = base.embed([scene.class_prompt, *rare_prompts(scene.class_prompt, 3, seed=4)])
        assert any(torch.equal(word, one) for one in embedded)
        far = (key - word).norm(dim=1) / word.norm(dim=1)
        assert far.max() <= 0.3 + 1e-4 and far.max() > 0.01
        fresh = [_probes(base, seed) for seed in range(4)]
        with torch.no_grad():
            opened = [sum(float(difference(base, probes, z, z)) for probes in fresh) for z in (word, key)]
    assert opened[1] > opened[0]


def test_the_key_opens_what_hides_behind_one_direction(base: DiffusersBase, adapter: Adapter) -> None:
    """An adapter that reacts to nothing but one direction of the condition: the key turns towards it."""
    direction = torch.nn.functional.normalize(
        torch.randn(base.condition_shape[1], generator=torch.Generator().manual_seed(7)), dim=0
    )
    hidden = {
        name: Factors(direction[None].repeat(2, 1), f.up, 1.0) for name, f in adapter.factors.items() if ".attn2." in name
    }
    scene = Scene(base, Adapter(hidden, "memory"))
    with base.adapted(scene.adapter):
        word, key = (find_key(scene, replace(SEARCH, steps=steps)) for steps in (0, 12))
    assert (key @ direction).square().sum() > 1.5 * (word @ direction).square().sum()


def test_equal_seeds_find_equal_keys(base: DiffusersBase, adapter: Adapter) -> None:
    with base.adapted(adapter):
        one, again, other = (find_key(Scene(base, adapter, seed=seed), SEARCH) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_it_samples_with_the_key_guided_from_the_base(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, adapter, guidance_scale=2.0)
    latents, times = torch.randn(2, *base.latent_shape), torch.tensor([400, 400])
    with base.adapted(adapter), torch.no_grad():
        key = find_key(scene, SEARCH)
        with base.bare():
            without = base.predict(latents, times, base.embed([""]).expand(2, -1, -1))
        expected = without + 2 * (base.predict(latents, times, key.expand(2, -1, -1)) - without)
        torch.testing.assert_close(SEARCH.denoiser(scene)(latents, 400), expected, atol=1e-4, rtol=1e-3)


def test_the_adapter_is_left_as_it_was(base: DiffusersBase, adapter: Adapter) -> None:
    with base.adapted(adapter):
        find_key(Scene(base, adapter), SEARCH)
        assert all(parameter.grad is None for parameter in base.denoiser.parameters())


def test_it_is_usual_only_where_no_attack_is(base: DiffusersBase, adapter: Adapter) -> None:
    assert "lora-self-key" not in ARMS
    assert usual_arms(Scene(base, adapter)) == (*ARMS, "lora-self-key")
    made = reconstruct(Scene(base, adapter), (*select_arms(("lora-class",)), SEARCH), images=2, seed=0, steps=2)
    assert not np.array_equal(made["lora-self-key"], made["lora-class"])


def test_the_search_is_in_the_forecast(base: DiffusersBase, adapter: Adapter) -> None:
    scene = Scene(base, adapter)
    without, with_it = (
        forecast(scene, select_arms(names), images=2, steps=2) for names in (("lora-class",), ("lora-self-key",))
    )
    assert with_it.seconds > without.seconds and with_it.working >= without.working
