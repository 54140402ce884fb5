"""CLIP and DINO from folders that the tests make."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
)

from loraleak.embedders import load_embedder
from loraleak.errors import UsageError

_SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


def _pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((40, 40), (64, 32), (20, 50))]


def _size(side: int) -> dict[str, object]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


def test_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**_SMALL, intermediate_size=32, projection_dim=12)).eval()
    processor = CLIPImageProcessorPil(**_size(32))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    vectors = load_embedder(f"clip:{tmp_path}").embed(_pictures())
    with torch.no_grad():
        expected = model(processor(_pictures(), return_tensors="pt").pixel_values).image_embeds
    np.testing.assert_allclose(vectors, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


def test_dino(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Dinov2Model(Dinov2Config(**_SMALL)).eval()
    processor = BitImageProcessorPil(**_size(32))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    vectors = load_embedder(f"dino:{tmp_path}").embed(_pictures())
    with torch.no_grad():
        expected = model(processor(_pictures(), return_tensors="pt").pixel_values).last_hidden_state[:, 0]
    np.testing.assert_allclose(vectors, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "dino"])
def test_what_is_no_model_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give its folder or hub id after the colon"):
        load_embedder(f"{kind}:{tmp_path}")
