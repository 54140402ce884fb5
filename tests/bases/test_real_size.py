"""The benchmark of true sizes, at small size."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from loraleak.bases import load_base

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from real_rates import print_rates  # noqa: E402
from real_size import measured  # noqa: E402
from true_pipelines import PIPELINES, TINY, make_pipeline  # noqa: E402

SMALL_CLIP = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 16,
}
SMALL_T5 = {"d_model": 48, "d_ff": 16, "d_kv": 4, "num_heads": 4, "num_layers": 1, "vocab_size": 64}
SMALL_VAE = {"block_out_channels": (8, 16), "norm_num_groups": 4}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "sd15": {
        "unet": {
            "block_out_channels": (8, 8, 16, 16),
            "cross_attention_dim": 16,
            "attention_head_dim": 2,
            "norm_num_groups": 4,
        },
        "text_encoder": SMALL_CLIP,
        "vae": SMALL_VAE,
    },
    "sdxl": {
        "unet": {
            "block_out_channels": (8, 16, 16),
            "transformer_layers_per_block": (1, 1, 1),
            "attention_head_dim": 2,
            "cross_attention_dim": 32,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 16,
            "norm_num_groups": 4,
        },
        "text_encoder": SMALL_CLIP,
        "text_encoder_2": SMALL_CLIP,
        "vae": SMALL_VAE,
    },
    "sd3": {
        "transformer": {
            "num_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "joint_attention_dim": 48,
            "caption_projection_dim": 16,
            "pooled_projection_dim": 32,
        },
        "text_encoder": SMALL_CLIP,
        "text_encoder_2": SMALL_CLIP,
        "text_encoder_3": SMALL_T5,
        "vae": SMALL_VAE,
    },
    "flux": {
        "transformer": {
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 48,
            "pooled_projection_dim": 16,
            "axes_dims_rope": (4, 6, 6),
        },
        "text_encoder": SMALL_CLIP,
        "text_encoder_2": SMALL_T5,
        "vae": SMALL_VAE,
    },
}


def shrunk(name: str) -> dict[str, dict[str, Any]]:
    return {part: {**sizes, **SMALL[name][part]} for part, sizes in PIPELINES[name].items()}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_can_be_made_and_trained_with_adapters(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_pipeline(name, tmp_path / name, shrunk(name))
    base = load_base(str(folder), device="cpu", resolution=32)
    assert base.condition_shape[0] >= 77
    print_rates(base, [1, 2], steps=1)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[:2] for row in rows[-3:]] == [
        ["| peft, one at a time", "1"],
        ["| loraleak", "1"],
        ["| loraleak", "2"],
    ]


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 2"):
        measured(["finetune", str(tmp_path / "nothing")], tmp_path)
    assert TINY.keys() == PIPELINES["sd15"].keys()


def test_true_sizes_have_as_many_numbers_as_the_published_models() -> None:
    import diffusers

    with torch.device("meta"):
        counts = {
            "sd15": diffusers.UNet2DConditionModel(**PIPELINES["sd15"]["unet"]),
            "sdxl": diffusers.UNet2DConditionModel(**PIPELINES["sdxl"]["unet"]),
            "sd3": diffusers.SD3Transformer2DModel(**PIPELINES["sd3"]["transformer"]),
            "flux": diffusers.FluxTransformer2DModel(**PIPELINES["flux"]["transformer"]),
        }
    millions = {name: round(sum(p.numel() for p in model.parameters()) / 1e6) for name, model in counts.items()}
    assert millions == {"sd15": 860, "sdxl": 2567, "sd3": 2028, "flux": 11901}


def test_the_script_says_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "real_size.py"), str(tmp_path), "--pipelines", "flux"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and "take a GPU" in ended.stderr
