"""CLIP and DINO by folder or hub id, through transformers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from loraleak.errors import UsageError
from loraleak.types import Embeddings, Picture

__all__ = ["ClipEmbedder", "DinoEmbedder"]

_BATCH = 16


class ClipEmbedder:
    """CLIP's image embeddings (Radford et al. 2021) as unit vectors `[images, projection_dim]`."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = f"clip:{name}", model, processor

    @classmethod
    def load(cls, source: str) -> "ClipEmbedder":
        """Raises: UsageError, if there is no CLIP vision model with a projection in this folder or under this hub id."""
        from transformers import CLIPVisionModelWithProjection

        return cls(source, *_loaded(source, CLIPVisionModelWithProjection, "CLIP"))

    def embed(self, images: Sequence[Picture]) -> Embeddings:
        return _embedded(images, self._processor, lambda pixels: self._model(pixels).image_embeds)


class DinoEmbedder:
    """DINO's or DINOv2's class token (Caron et al. 2021; Oquab et al. 2023) as unit vectors `[images, hidden_size]`."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = f"dino:{name}", model, processor

    @classmethod
    def load(cls, source: str) -> "DinoEmbedder":
        """Raises: UsageError, if there is no vision transformer in this folder or under this hub id."""
        from transformers import AutoModel

        return cls(source, *_loaded(source, AutoModel, "DINO"))

    def embed(self, images: Sequence[Picture]) -> Embeddings:
        return _embedded(images, self._processor, lambda pixels: self._model(pixels).last_hidden_state[:, 0])


def _loaded(source: str, kind: Any, title: str) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor

    try:
        model = kind.from_pretrained(source).eval().requires_grad_(False)
        processor = AutoImageProcessor.from_pretrained(source, backend="pil")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"no {title} model at {source!r} ({reason}): give its folder or hub id after the colon") from error
    return model, processor


@torch.no_grad()
def _embedded(images: Sequence[Picture], processor: Any, features: Any) -> Embeddings:
    parts: list[Tensor] = []
    for start in range(0, len(images), _BATCH):
        pictures = [Image.fromarray(image) for image in images[start : start + _BATCH]]
        parts.append(F.normalize(features(processor(pictures, return_tensors="pt").pixel_values), dim=1))
    vectors: Embeddings = np.concatenate([part.float().numpy() for part in parts])
    return vectors
