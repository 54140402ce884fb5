"""CLIP and DINO from folders that the tests make."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BaseImageProcessor,
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
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
    vectors = load_embedder(f"clip:{tmp_path}").embed(_pictures()).vectors
    with torch.no_grad():
        expected = model(processor(_pictures(), return_tensors="pt").pixel_values).image_embeds
    np.testing.assert_allclose(vectors, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "processor"),
    [
        (lambda: Dinov2Model(Dinov2Config(**_SMALL)), BitImageProcessorPil(**_size(32))),
        (
            lambda: ViTModel(ViTConfig(**_SMALL, intermediate_size=32), add_pooling_layer=False),
            ViTImageProcessorPil(size={"height": 32, "width": 32}),
        ),
    ],
    ids=["second DINO", "first DINO, whose file has no pooler"],
)
def test_dino(model: Callable[[], PreTrainedModel], processor: BaseImageProcessor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = model().eval()
    network.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    vectors = load_embedder(f"dino:{tmp_path}").embed(_pictures()).vectors
    with torch.no_grad():
        expected = network(processor(_pictures(), return_tensors="pt").pixel_values).last_hidden_state[:, 0]
    np.testing.assert_allclose(vectors, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)


def test_a_whole_clip_in_half_precision(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    text = CLIPTextConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    vision = CLIPVisionConfig(**_SMALL, intermediate_size=32, projection_dim=12)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)).eval().half()
    processor = CLIPImageProcessorPil(**_size(32))
    model.save_pretrained(tmp_path / "a-clip")
    processor.save_pretrained(tmp_path / "a-clip")
    capfd.readouterr()
    embedder = load_embedder(f"clip:{tmp_path / 'a-clip'}")
    assert capfd.readouterr() == ("", "")
    with torch.no_grad():
        expected = model.float().get_image_features(processor(_pictures(), return_tensors="pt").pixel_values).pooler_output
    np.testing.assert_allclose(embedder.embed(_pictures()).vectors, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)
    assert embedder.name == "clip:a-clip"  # the rest of the path is nobody's business


def _save_dino(folder: Path) -> None:
    Dinov2Model(Dinov2Config(**_SMALL)).save_pretrained(folder)
    BitImageProcessorPil(**_size(32)).save_pretrained(folder)


def test_another_model_is_never_called_clip(tmp_path: Path) -> None:
    _save_dino(tmp_path)
    with pytest.raises(UsageError, match=r"no CLIP model at .*it holds a model of the kind dinov2"):
        load_embedder(f"clip:{tmp_path}")


def test_weights_that_lack_are_not_made_up(tmp_path: Path) -> None:
    _save_dino(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    del weights["embeddings.cls_token"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"its file lacks 1 weights, embeddings\.cls_token among them"):
        load_embedder(f"dino:{tmp_path}")


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    _save_dino(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(UsageError, match="no DINO model at") as caught:
        load_embedder(f"dino:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["clip", "dino"])
def test_what_is_no_model_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give its folder or hub id after the colon"):
        load_embedder(f"{kind}:{tmp_path}")
