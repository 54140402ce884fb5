"""A base does what diffusers' own pipeline does, with an adapter and without."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from loraleak.bases import DiffusersBase, guided, load_base, sample
from loraleak.errors import BaseMismatchError, ConditionShapeError, UsageError
from loraleak.types import Adapter, Factors


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    generator = torch.Generator().manual_seed(1)
    name = next(n for n in base.modules if n.endswith("attn2.to_k"))
    text = next(n for n in base.modules if n.endswith("q_proj"))
    factors = {
        n: Factors(
            torch.randn(2, base.modules[n][1], generator=generator),
            torch.randn(base.modules[n][0], 2, generator=generator),
            0.5,
        )
        for n in (name, text)
    }
    return Adapter(factors=factors, format="memory")


def _noise(base: DiffusersBase) -> torch.Tensor:
    latents = torch.randn(2, *base.latent_shape, generator=torch.Generator().manual_seed(0))
    return base.predict(latents, torch.tensor([3, 700]), base.embed(["a photo of a person", ""]))


def test_an_attached_adapter_is_the_sum_of_weight_and_update(base: DiffusersBase, adapter: Adapter) -> None:
    with base.adapted(adapter), torch.no_grad():
        attached = _noise(base)
    for name, f in adapter.factors.items():
        component, _, path = name.partition(".")
        module = getattr(base, component).get_submodule(path.removeprefix("text_model."))
        with torch.no_grad():
            module.weight += f.scale * f.up @ f.down
    with torch.no_grad():
        merged = _noise(base)
    torch.testing.assert_close(attached, merged, atol=1e-5, rtol=1e-4)


def test_bare_and_after_the_base_is_itself_again(base: DiffusersBase, adapter: Adapter) -> None:
    with torch.no_grad():
        before, names = _noise(base), set(base.modules)
        with base.adapted(adapter):
            assert not torch.allclose(_noise(base), before)
            with base.bare():
                torch.testing.assert_close(_noise(base), before)
                with base.bare():
                    torch.testing.assert_close(_noise(base), before)
                torch.testing.assert_close(_noise(base), before)
            assert not torch.allclose(_noise(base), before)
        torch.testing.assert_close(_noise(base), before)
    assert {f"unet.{n}" for n, m in base.unet.named_modules() if isinstance(m, torch.nn.Linear)} <= names


def test_an_adapter_of_another_base_is_refused_in_one_line(base: DiffusersBase) -> None:
    strange = Adapter(factors={"unet.mid_block.nowhere": Factors(torch.ones(1, 4), torch.ones(4, 1), 1.0)}, format="memory")
    with pytest.raises(BaseMismatchError, match=r"does not fit base .* unet\.mid_block\.nowhere is not in it; give the base"):
        base.check(strange)
    name = next(iter(base.modules))
    wrong = Adapter(factors={name: Factors(torch.ones(1, 5), torch.ones(7, 1), 1.0)}, format="memory")
    with pytest.raises(BaseMismatchError, match="in the adapter and"):
        base.check(wrong)


def test_an_adapter_of_another_base_is_told_which_family_it_fits(base: DiffusersBase) -> None:
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    strange = Adapter(factors={name: Factors(torch.ones(1, 2048), torch.ones(640, 1), 1.0)}, format="memory")
    with pytest.raises(BaseMismatchError, match=r"; it fits Stable Diffusion XL; give the base that it was trained on"):
        base.check(strange)


def test_noise_is_added_as_the_schedule_says(base: DiffusersBase) -> None:
    latents, noise = torch.randn(3, *base.latent_shape), torch.randn(3, *base.latent_shape)
    times = torch.tensor([0, 500, 999])
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)[times].float().view(-1, 1, 1, 1)
    torch.testing.assert_close(base.add_noise(latents, noise, times), kept.sqrt() * latents + (1 - kept).sqrt() * noise)


def test_a_base_of_v_prediction_is_asked_for_v(v_pipeline_folder: Path) -> None:
    base = load_base(str(v_pipeline_folder), device="cpu")
    latents, noise = torch.randn(2, *base.latent_shape), torch.randn(2, *base.latent_shape)
    times = torch.tensor([100, 900])
    noisy = base.add_noise(latents, noise, times)
    v = base.schedule.target(latents, noise, times)
    torch.testing.assert_close(v, base.pipeline.scheduler.get_velocity(latents, noise, times))
    torch.testing.assert_close(base.schedule.denoised(noisy, v, times), latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(base.schedule.leading_to(noisy, latents, times), v, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("folder", ["pipeline_folder", "v_pipeline_folder"])
def test_sampling_is_what_diffusers_samples(folder: str, request: pytest.FixtureRequest) -> None:
    from diffusers import DPMSolverMultistepScheduler

    pipeline_folder: Path = request.getfixturevalue(folder)
    base = load_base(str(pipeline_folder), device="cpu")
    condition, empty = base.embed(["a photo of a person", ""])
    ours = sample(base, guided(base, condition, empty, 2.0), 2, seed=5, steps=6)
    pipeline = DiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    latents = torch.randn(2, *base.latent_shape, generator=torch.Generator().manual_seed(5))
    theirs = pipeline(
        ["a photo of a person"] * 2,
        num_inference_steps=6,
        guidance_scale=2.0,
        latents=latents,
        output_type="np",
        height=16,
        width=16,
    ).images
    assert np.abs(ours / 255 - theirs).max() < 2 / 255


def test_pictures_of_any_shape_are_cut_to_a_square(base: DiffusersBase) -> None:
    wide = np.zeros((16, 40, 3), np.uint8)
    wide[:, 12:28] = 200
    square = np.full((16, 16, 3), 200, np.uint8)
    torch.testing.assert_close(base.encode([wide]), base.encode([square]), atol=1e-4, rtol=1e-4)
    assert base.decode(base.encode([wide])).shape == (1, 16, 16, 3)


def test_a_condition_of_another_width_is_named(base: DiffusersBase) -> None:
    with pytest.raises(ConditionShapeError, match="width 7"):
        base.predict(torch.zeros(1, *base.latent_shape), torch.tensor([1]), torch.zeros(1, 32, 7))


def test_what_is_no_pipeline_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_base(str(tmp_path))


def test_equal_weights_have_equal_hashes(pipeline_folder: Path, v_pipeline_folder: Path) -> None:
    one, same, other = (load_base(str(f), device="cpu") for f in (pipeline_folder, v_pipeline_folder, pipeline_folder))
    with torch.no_grad():
        other.unet.conv_in.bias[0] += 1
    assert one.sha256 == same.sha256 != other.sha256
