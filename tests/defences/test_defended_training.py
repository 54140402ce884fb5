"""Fine-tuning learns, repeats, and writes what plain diffusers reads; what is private repeats for nobody."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from loraleak.adapters import load_adapter, save_adapter
from loraleak.bases import DiffusersBase
from loraleak.defences import Finetuned, defended_training, finetune, parse_defence
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Adapter, Images

_SHORT = Recipe(trigger="zqkv", rank=2, alpha=3.0, steps=3, class_count=2, prior_batch=1, batch=2)


def test_the_same_seed_gives_the_same_adapter(base: DiffusersBase, private_images: Images) -> None:
    first, second = (finetune(base, private_images, _SHORT, quiet=True).adapter for _ in range(2))
    other = finetune(base, private_images, replace(_SHORT, seed=1), quiet=True).adapter
    assert first.factors.keys() == second.factors.keys()
    for name, factors in first.factors.items():
        assert torch.equal(factors.down, second.factors[name].down)
        assert torch.equal(factors.up, second.factors[name].up)
        assert factors.up.abs().sum() > 0
        assert not torch.equal(factors.down, other.factors[name].down)
        assert (factors.rank, factors.scale) == (2, 1.5)


def test_it_learns_the_images(base: DiffusersBase, private_images: Images) -> None:
    recipe = replace(_SHORT, steps=60, rank=4, learning_rate=1e-2, prior_batch=0)
    adapter = finetune(base, private_images, recipe, quiet=True).adapter
    latents = base.encode(private_images).repeat(30, 1, 1, 1)
    generator = torch.Generator().manual_seed(9)
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(base.noise_levels, (len(latents),), generator=generator)
    condition = base.embed([recipe.prompt]).expand(len(latents), -1, -1)
    noisy = base.add_noise(latents, noise, times)
    with torch.no_grad():
        before = (base.predict(noisy, times, condition) - noise).square().mean()
        with base.adapted(adapter):
            after = (base.predict(noisy, times, condition) - noise).square().mean()
    assert after < 0.97 * before


@pytest.mark.parametrize("text_encoder", [False, True])
def test_plain_diffusers_reads_it_back_and_draws_the_same_picture(
    base: DiffusersBase, private_images: Images, pipeline_folder: Path, tmp_path: Path, text_encoder: bool
) -> None:
    adapter = finetune(
        base, private_images, replace(_SHORT, steps=6, text_encoder=text_encoder, learning_rate=0.05), quiet=True
    ).adapter
    save_adapter(adapter, tmp_path / "adapter.safetensors")
    pipeline = DiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(tmp_path / "adapter.safetensors")
    latents = torch.randn(1, *base.latent_shape, generator=torch.Generator().manual_seed(0))
    settings = {"num_inference_steps": 4, "output_type": "np", "height": 16, "width": 16, "guidance_scale": 2.0}
    theirs = pipeline(_SHORT.prompt, latents=latents, **settings).images
    plain = DiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
    plain.set_progress_bar_config(disable=True)
    without = plain(_SHORT.prompt, latents=latents, **settings).images
    plain.unet, plain.text_encoder = base.unet, base.text_encoder
    with base.adapted(load_adapter(tmp_path / "adapter.safetensors")):
        ours = plain(_SHORT.prompt, latents=latents, **settings).images
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(without - theirs).max() > 1e-3


def test_the_base_is_left_as_it_was(base: DiffusersBase, private_images: Images) -> None:
    before = base.sha256
    finetune(base, private_images, replace(_SHORT, text_encoder=True), quiet=True)
    del base.__dict__["sha256"]
    assert base.sha256 == before
    assert not any(p.requires_grad for p in base.unet.parameters())


def test_no_image_is_said_in_one_line(base: DiffusersBase) -> None:
    with pytest.raises(PhotosError, match="no images to train on"):
        finetune(base, [], _SHORT)


def _same(one: Adapter, other: Adapter) -> bool:
    return all(torch.equal(f.up, other.factors[name].up) for name, f in one.factors.items())


@pytest.mark.parametrize(
    "text", ["dp-sgd:noise=4,multiplicity=1", "dp-mmd:noise=4,features=8", "dp-sgd:noise=4+scaling:factor=0.5"]
)
def test_noise_that_is_promised_is_of_a_secret_seed(
    base: DiffusersBase, private_images: Images, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def made() -> Finetuned:
        return finetune(base, private_images, _SHORT, defence=parse_defence(text), quiet=True)

    first, second = made(), made()
    assert not _same(first.adapter, second.adapter)
    assert first.guarantee == second.guarantee and first.guarantee.stated
    monkeypatch.setattr(defended_training, "secret_seed", lambda: 1 << 127 | 5)
    third, fourth = made(), made()
    assert _same(third.adapter, fourth.adapter) and not _same(third.adapter, first.adapter)
    assert str(1 << 127 | 5) not in repr(third)


@pytest.mark.parametrize("seed", [1, 2**62 - 1, 2**64, 2**112 - 1])
def test_a_seed_that_can_be_guessed_is_refused_where_an_epsilon_is_stated(
    base: DiffusersBase, private_images: Images, seed: int
) -> None:
    with pytest.raises(UsageError, match=f"seed {seed} can be guessed.*leave the seed out"):
        finetune(base, private_images, replace(_SHORT, seed=seed), defence=parse_defence("dp-sgd:noise=4"))


def test_an_own_secret_seed_is_taken(base: DiffusersBase, private_images: Images) -> None:
    recipe, defence = replace(_SHORT, seed=2**128 - 1), parse_defence("dp-sgd:noise=4,multiplicity=1")
    first, second = (finetune(base, private_images, recipe, defence=defence, quiet=True) for _ in range(2))
    assert _same(first.adapter, second.adapter) and first.guarantee.stated


@pytest.mark.parametrize(
    "text", ["dp-sgd:noise=4,sampling=shuffle", "dp-mmd:noise=0", "random-prompts", "gaussian-noise:level=1"]
)
def test_without_a_promise_the_seed_stays_and_runs_repeat(base: DiffusersBase, private_images: Images, text: str) -> None:
    recipe, defence = replace(_SHORT, seed=7), parse_defence(text)
    first, second = (finetune(base, private_images, recipe, defence=defence, quiet=True) for _ in range(2))
    assert _same(first.adapter, second.adapter)
    assert not first.guarantee.stated and "no guarantee" in first.guarantee.says


def test_no_image_is_no_private_image_either(base: DiffusersBase) -> None:
    with pytest.raises(PhotosError, match="no images to train on"):
        finetune(base, [], _SHORT, defence=parse_defence("dp-mmd"))
