"""Fine-tuning learns, repeats, and writes what plain diffusers reads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from loraleak.adapters import load_adapter, save_adapter
from loraleak.bases import DiffusersBase
from loraleak.errors import PhotosError
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.dreambooth import finetune
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images

_SHORT = Recipe(trigger="zqkv", rank=2, alpha=3.0, steps=3, class_count=2, prior_batch=1, batch=2)


def test_the_same_seed_gives_the_same_adapter(base: DiffusersBase, private_images: Images) -> None:
    first, second = (finetune(base, private_images, _SHORT, quiet=True) for _ in range(2))
    other = finetune(base, private_images, replace(_SHORT, seed=1), quiet=True)
    assert first.factors.keys() == second.factors.keys()
    for name, factors in first.factors.items():
        assert torch.equal(factors.down, second.factors[name].down)
        assert torch.equal(factors.up, second.factors[name].up)
        assert factors.up.abs().sum() > 0
        assert not torch.equal(factors.down, other.factors[name].down)
        assert (factors.rank, factors.scale) == (2, 1.5)


def test_it_learns_the_images(base: DiffusersBase, private_images: Images) -> None:
    recipe = replace(_SHORT, steps=60, rank=4, learning_rate=1e-2, prior_batch=0)
    adapter = finetune(base, private_images, recipe, quiet=True)
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
    )
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


def test_class_images_are_made_once(base: DiffusersBase, monkeypatch: pytest.MonkeyPatch) -> None:
    first = class_images(base, _SHORT)
    monkeypatch.setattr("loraleak.finetuning.class_images.sample", None)
    assert np.array_equal(class_images(base, _SHORT), first)
    with pytest.raises(TypeError):
        class_images(base, replace(_SHORT, class_prompt="a drawing of a person"))


def test_the_base_is_left_as_it_was(base: DiffusersBase, private_images: Images) -> None:
    before = base.sha256
    finetune(base, private_images, replace(_SHORT, text_encoder=True), quiet=True)
    del base.__dict__["sha256"]
    assert base.sha256 == before
    assert not any(p.requires_grad for p in base.unet.parameters())


def test_no_image_is_said_in_one_line(base: DiffusersBase) -> None:
    with pytest.raises(PhotosError, match="no images to train on"):
        finetune(base, [], _SHORT)
