"""Every family does what diffusers' own pipeline does, and goes the whole way: fine-tune, write, read, attack."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler, FluxPipeline

from loraleak.adapters import load_adapter, save_adapter
from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.bases import DiffusersBase, guided, load_base, sample
from loraleak.bases.conditions import packed, unpacked
from loraleak.defences import finetune
from loraleak.errors import BaseMismatchError, UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.finetuning.targets import target_modules
from loraleak.types import Adapter, Factors, Images
from oracles.newer_pipelines import NEWER_FAMILIES, tiny_newer_pipeline
from oracles.pipelines import RESOLUTION, tiny_pipeline

_RECIPE = Recipe(trigger="zqkv", rank=2, alpha=3.0, steps=3, class_count=2, prior_batch=1, batch=2, learning_rate=0.02)
_TAKES_TEXT_ENCODERS = {"sdxl": 2, "sd3": 2, "flux": 1}
"""Families of which the text encoders can be trained, with how many."""
_NEW = (*_TAKES_TEXT_ENCODERS, *NEWER_FAMILIES)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    makers = {family: tiny_newer_pipeline if family in NEWER_FAMILIES else tiny_pipeline for family in _NEW}
    return {family: make(family, tmp_path_factory.mktemp(family)) for family, make in makers.items()}


@pytest.fixture(params=_NEW)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tiny(family: str, folders: dict[str, Path]) -> DiffusersBase:
    return _load(folders[family])


def _load(folder: Path) -> DiffusersBase:
    return load_base(str(folder), device="cpu", resolution=RESOLUTION)


def _drawn(folder: Path, family: str, latents: torch.Tensor, prompt: str, adapter: Path | None = None) -> np.ndarray:
    """By diffusers' own pipeline, in 4 steps with a guidance scale of 2, in the way of each pipeline: as an input for Flux,
    counted from 0 for Z-Image."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if adapter is not None:
        pipeline.load_lora_weights(adapter)
    settings: dict[str, Any] = {"num_inference_steps": 4, "output_type": "np", "height": RESOLUTION, "width": RESOLUTION}
    scale = {"qwen-image": {"true_cfg_scale": 2.0}, "z-image": {"guidance_scale": 1.0}}
    settings |= scale.get(family, {"guidance_scale": 2.0})
    if family in ("flux", "chroma", "qwen-image"):
        latents = FluxPipeline._pack_latents(latents, *latents.shape)
    if not family.startswith("flux"):
        settings["negative_prompt"] = [""] * len(latents)
    if family == "sdxl":
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    return np.asarray(pipeline(prompt=[prompt] * len(latents), latents=latents, **settings).images)


def test_sampling_is_what_diffusers_samples(tiny: DiffusersBase, family: str, folders: dict[str, Path]) -> None:
    condition, empty = tiny.embed(["a photo of a person", ""])
    ours = sample(tiny, guided(tiny, condition, empty, 2.0), 2, seed=5, steps=4)
    latents = torch.randn(2, *tiny.latent_shape, generator=torch.Generator().manual_seed(5))
    theirs = _drawn(folders[family], family, latents, "a photo of a person")
    assert ours.std() > 1
    assert np.abs(ours / 255 - theirs).max() < 2 / 255


@pytest.mark.parametrize(
    ("family", "text_encoder"),
    [*((family, False) for family in _NEW), *((family, True) for family in _TAKES_TEXT_ENCODERS)],
    indirect=["family"],
)
def test_what_is_trained_and_written_draws_the_same_in_plain_diffusers(
    tiny: DiffusersBase, family: str, folders: dict[str, Path], private_images: Images, tmp_path: Path, text_encoder: bool
) -> None:
    before = tiny.sha256
    recipe = Recipe(**{**vars(_RECIPE), "text_encoder": text_encoder, "learning_rate": 0.2})
    adapter = finetune(tiny, private_images, recipe, quiet=True).adapter
    del tiny.__dict__["sha256"]
    assert tiny.sha256 == before
    moved = [name for name, f in adapter.factors.items() if f.up.abs().max() > 0]
    assert len(moved) > 0.6 * len(adapter.factors)  # the last block's, and text encoder's, last layers have no say
    assert {"transformer", "unet", *tiny.text_encoders} >= {name.partition(".")[0] for name in moved}
    assert any(name.startswith("text_encoder.") for name in moved) == text_encoder
    save_adapter(adapter, tmp_path / "a.safetensors")
    read = load_adapter(tmp_path / "a.safetensors")
    assert all(torch.equal(read.factors[name].up, f.up) for name, f in adapter.factors.items())
    with tiny.adapted(read):
        condition, empty = tiny.embed([recipe.prompt, ""])
        ours = sample(tiny, guided(tiny, condition, empty, 2.0), 1, seed=0, steps=4) / 255
    latents = torch.randn(1, *tiny.latent_shape, generator=torch.Generator().manual_seed(0))
    theirs = _drawn(folders[family], family, latents, recipe.prompt, tmp_path / "a.safetensors")
    without = _drawn(folders[family], family, latents, recipe.prompt)
    assert np.abs(ours - theirs).max() < 1.5 / 255 < np.abs(without - theirs).max()


def test_adapters_train_together_as_alone(tiny: DiffusersBase, private_images: Images) -> None:
    finetune(tiny, private_images, _RECIPE, quiet=True)  # makes the class images, before precision changes
    for model in tiny.components.values():
        model.double()
    jobs = [Job(private_images, _RECIPE), Job(private_images[:2], Recipe(**{**vars(_RECIPE), "seed": 7, "rank": 1}))]
    together = {s.job: s.adapter for s in finetune_together(tiny, jobs, quiet=True)}
    for k, job in enumerate(jobs):
        *_, alone = finetune_together(tiny, [job], quiet=True)
        for name, factors in together[k].factors.items():
            torch.testing.assert_close(factors.up, alone.adapter.factors[name].up, atol=1e-9, rtol=0)


def test_every_arm_that_needs_no_training_is_sampled(tiny: DiffusersBase, private_images: Images) -> None:
    adapter = finetune(tiny, private_images, _RECIPE, quiet=True).adapter
    scene = Scene(tiny, adapter, owner_prompt=_RECIPE.prompt)
    made = reconstruct(scene, select_arms(), images=2, seed=0, steps=2)
    assert set(made) == {"base-class", "lora-class", "lora-empty", "lora-guidance", "lora-trigger"}
    assert all(images.shape == (2, RESOLUTION, RESOLUTION, 3) for images in made.values())
    (slow,) = [arm for arm in select_arms(("matching-updates",)) if arm.name == "matching-updates"]
    arm = type(slow)(guesses=2, iterations=2)  # type: ignore[call-arg]
    assert reconstruct(scene, [arm], images=2, seed=0, steps=2)["matching-updates"].std() > 0


@pytest.mark.parametrize(
    ("fits", "name", "shape"),
    [
        ("Stable Diffusion 1.x", "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", (320, 768)),
        ("Stable Diffusion XL", "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", (640, 2048)),
        ("Stable Diffusion 3", "transformer.transformer_blocks.0.attn.to_q", (1536, 1536)),
        ("Flux.1, Chroma, HunyuanVideo or AuraFlow", "transformer.single_transformer_blocks.0.attn.to_q", (3072, 3072)),
    ],
)
def test_an_adapter_of_another_base_is_refused_with_its_family(
    tiny: DiffusersBase, fits: str, name: str, shape: tuple[int, int]
) -> None:
    strange = Adapter(factors={name: Factors(torch.ones(1, shape[1]), torch.ones(shape[0], 1), 1.0)}, format="memory")
    with pytest.raises(BaseMismatchError, match=f"; it fits {fits}; give the base"):
        tiny.check(strange)


def test_targets_are_the_layers_that_their_names_say(tiny: DiffusersBase, family: str) -> None:
    attention, cross, transformer, everything = (
        set(target_modules(tiny, targets, text_encoder=False))
        for targets in ("attention", "cross-attention", "transformer", "all")
    )
    assert cross and cross < attention < transformer <= everything
    prompt = {"sdxl": ".attn2.", "z-image": ".context_refiner."}.get(family, "add_")
    assert all(prompt in name.replace("to_add_out", "add_") for name in cross)
    with_text = set(target_modules(tiny, "attention", text_encoder=True)) - attention
    clip = _TAKES_TEXT_ENCODERS.get(family, 0)
    assert {name.partition(".")[0] for name in with_text} == set(tiny.text_encoders[:clip])


def test_stable_diffusion_3_without_t5_reads_zeros_in_its_place(tmp_path: Path) -> None:
    base = _load(tiny_pipeline("sd3", tmp_path, with_t5=False))
    condition = base.embed(["a photo of a person"])
    assert set(base.components) == {"transformer", "text_encoder", "text_encoder_2"}
    states, _ = unpacked(condition, 40)
    assert states[:, :32].abs().max() > 0 and states[:, 32:].abs().max() == 0
    assert sample(base, guided(base, condition[0], condition[0], 1.0), 1, seed=0, steps=2).std() > 0


def test_flux_schnell_is_guided_in_two_passes(tmp_path: Path) -> None:
    base = _load(tiny_pipeline("flux", tmp_path, dev=False))
    assert not base.distilled
    condition, empty = base.embed(["a photo of a person", ""])
    latents, times = torch.randn(1, *base.latent_shape), torch.tensor([500.0])
    with torch.no_grad():
        one, other = (base.predict(latents, times, c[None]) for c in (empty, condition))
        torch.testing.assert_close(guided(base, condition, empty, 3.0)(latents, 500.0), one + 3 * (other - one))


def test_a_resolution_that_the_denoiser_cannot_take_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"resolution is 30, base .* takes multiples of 4"):
        load_base(str(folders["flux"]), device="cpu", resolution=30)


@pytest.mark.parametrize(("width", "dim"), [(20, 24), (24, 24), (40, 24), (1, 3)])
def test_what_is_packed_comes_back(width: int, dim: int) -> None:
    states, pooled = torch.randn(2, 5, dim), torch.randn(2, width)
    back, its = unpacked(packed(states, pooled), width)
    assert torch.equal(back, states) and torch.equal(its, pooled)
