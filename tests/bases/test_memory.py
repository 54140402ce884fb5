"""What takes less memory gives the same, as far as the precision goes, and says where it cannot be had."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase, guided, load_base, sample
from loraleak.defences import finetune
from loraleak.errors import UsageError
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Adapter, Images
from oracles.newer_pipelines import NEWER_FAMILIES, tiny_newer_pipeline
from oracles.pipelines import FAMILIES, RESOLUTION, tiny_pipeline

_RECIPE = Recipe(rank=2, steps=2, class_count=2, prior_batch=1, batch=2)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=NEWER_FAMILIES)
def newer_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_newer_pipeline(request.param, tmp_path_factory.mktemp(request.param))


def _load(folder: Path, **choices: object) -> DiffusersBase:
    return load_base(str(folder), device="cpu", resolution=RESOLUTION, **choices)  # type: ignore[arg-type]


def _pictures(base: DiffusersBase) -> Images:
    condition, empty = base.embed(["a photo of a person", ""])
    return sample(base, guided(base, condition, empty, 2.0), 2, seed=0, steps=2)


def _trained(base: DiffusersBase, images: Images) -> Adapter:
    return finetune(base, images, _RECIPE, quiet=True).adapter


def test_slices_give_the_same_pictures_and_the_same_adapter(folder: Path, private_images: Images) -> None:
    _slices_give_the_same(folder, private_images)


def test_slices_give_the_same_in_newer_families(newer_folder: Path, private_images: Images) -> None:
    _slices_give_the_same(newer_folder, private_images)


def _slices_give_the_same(folder: Path, private_images: Images) -> None:
    whole, sliced = _load(folder), _load(folder, save_memory=True)
    sizes = []
    sliced.denoiser.register_forward_hook(lambda _m, _i, output: sizes.append(len(output[0])))
    assert np.abs(_pictures(whole).astype(int) - _pictures(sliced)).max() <= 1
    assert set(sizes) == {1}
    one, other = (_trained(base, private_images).factors for base in (whole, sliced))
    apart = sum(float((one[name].up - other[name].up).abs().sum()) for name in one)
    assert apart < 0.01 * sum(float(f.up.abs().sum()) for f in one.values())


def test_half_precision_runs_and_learns_in_float32(folder: Path, private_images: Images) -> None:
    base = _load(folder, dtype="bfloat16")
    assert {p.dtype for m in (*base.components.values(), base.vae) for p in m.parameters()} == {torch.bfloat16}
    assert np.abs(_pictures(base).astype(int) - _pictures(_load(folder))).mean() < 4
    adapter = _trained(base, private_images)
    assert all(f.up.dtype == torch.float32 for f in adapter.factors.values())
    assert sum(f.up.abs().max() > 0 for f in adapter.factors.values()) > 0.6 * len(adapter.factors)
    with base.adapted(adapter):
        assert _pictures(base).std() > 0
    assert len(base.sha256) == 64


def test_float16_keeps_the_autoencoder_in_float32_and_trains_nothing(folder: Path, private_images: Images) -> None:
    base = _load(folder, dtype="float16")
    assert base.dtype == torch.float16 and base.vae.dtype == torch.float32
    with pytest.raises(UsageError, match="vanish in float16: fine-tune with --dtype bfloat16"):
        _trained(base, private_images)


def test_on_a_cpu_there_is_nothing_to_offload(folder: Path) -> None:
    with pytest.raises(UsageError, match="no GPU to keep models away from"):
        _load(folder, offload=True)
