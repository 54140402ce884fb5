"""Embedders by CLIP and DINO, from a folder or hub id, through transformers."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from loraleak.errors import UsageError
from loraleak.types import Picture, Sightings

__all__ = ["ClipEmbedder", "DinoEmbedder"]

_BATCH = 16


class ClipEmbedder:
    """Embedder by CLIP's image features (Radford et al. 2021), as unit vectors `[images, projection_dim]`."""

    same_person = None

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = name, model, processor

    @classmethod
    def load(cls, source: str) -> "ClipEmbedder":
        """Load the image half of a CLIP model. The source may hold the whole model or that half alone.

        Raises: UsageError, if this folder or hub id holds anything else.
        """
        from transformers import CLIPVisionModelWithProjection

        return cls(
            f"clip:{_title(source)}", *_loaded(source, CLIPVisionModelWithProjection, "CLIP", ("clip", "clip_vision_model"))
        )

    def embed(self, images: Sequence[Picture]) -> Sightings:
        return _embedded(images, self._processor, lambda pixels: self._model(pixels).image_embeds)


class DinoEmbedder:
    """Embedder by the class token of DINO or DINOv2 (Caron et al. 2021; Oquab et al. 2023): unit vectors `[images, width]`."""

    same_person = None

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = name, model, processor

    @classmethod
    def load(cls, source: str) -> "DinoEmbedder":
        """Load the model.

        Raises: UsageError, if this folder or hub id holds anything but a vision transformer of DINO's kinds.
        """
        from transformers import AutoModel

        return cls(f"dino:{_title(source)}", *_loaded(source, AutoModel, "DINO", ("vit", "dinov2", "dinov2_with_registers")))

    def embed(self, images: Sequence[Picture]) -> Sightings:
        return _embedded(images, self._processor, lambda pixels: self._model(pixels).last_hidden_state[:, 0])


def _title(source: str) -> str:
    """Name for reports. A folder gives only its own name, because its path is private to the user."""
    return Path(source).resolve().name if Path(source).is_dir() else source


def _loaded(source: str, model_class: Any, title: str, kinds: Collection[str]) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoImageProcessor

    try:
        kind = AutoConfig.from_pretrained(source, trust_remote_code=False).model_type
        if kind not in kinds:
            raise ValueError(f"it holds a model of the kind {kind}")
        # half-precision files are read as float32, the type of the pictures
        with _quiet():
            model, found = model_class.from_pretrained(
                source, dtype=torch.float32, weights_only=True, output_loading_info=True, trust_remote_code=False
            )
        # transformers fills missing weights with random numbers; DINO's files lack the pooler, which is not used here
        if lacking := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
            raise ValueError(f"its file lacks {len(lacking)} weights, {lacking[0]} among them")
        processor = AutoImageProcessor.from_pretrained(source, backend="pil", trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"no {title} model at {source!r} ({reason}): give its folder or hub id after the colon") from error
    return model.eval().requires_grad_(False), processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Context in which transformers lists no unused weights, such as CLIP's text half. The caller checks those that matter."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


@torch.no_grad()
def _embedded(images: Sequence[Picture], processor: Any, features: Callable[[Tensor], Tensor]) -> Sightings:
    parts: list[Tensor] = []
    for start in range(0, len(images), _BATCH):
        pictures = [Image.fromarray(image) for image in images[start : start + _BATCH]]
        parts.append(F.normalize(features(processor(pictures, return_tensors="pt").pixel_values), dim=1))
    return Sightings.one_each(torch.cat(parts).numpy())
