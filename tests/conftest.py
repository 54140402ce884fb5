"""A tiny pipeline, made by the tests themselves: Stable Diffusion's shape, random weights, 16 x 16 pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from loraleak.bases import DiffusersBase, load_base
from loraleak.pocket.vocabulary import MAX_TOKENS, build_tokenizer
from loraleak.types import Images


def _make_pipeline(folder: Path, prediction_type: str = "epsilon") -> Path:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
            scaling_factor=0.5,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=MAX_TOKENS,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        ),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=16,
            norm_num_groups=4,
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="session")
def v_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Stable Diffusion 2.x at 768: v-prediction."""
    return _make_pipeline(tmp_path_factory.mktemp("v-pipeline"), "v_prediction")


@pytest.fixture
def base(pipeline_folder: Path) -> DiffusersBase:
    return load_base(str(pipeline_folder), device="cpu")


@pytest.fixture
def private_images() -> Images:
    return np.random.default_rng(3).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
