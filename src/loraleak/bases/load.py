"""A base by name: `pocket`, a diffusers pipeline folder, a hub id, or a single file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import loraleak.bases.pocket_autoencoder  # noqa: F401  (pocket's pipeline folder names this class)
from loraleak.assets import POCKET
from loraleak.base_settings import Precision
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.chroma import Chroma
from loraleak.bases.families.flux import Flux
from loraleak.bases.families.flux2 import Flux2
from loraleak.bases.families.qwen_image import QwenImage
from loraleak.bases.families.stable_diffusion import StableDiffusion
from loraleak.bases.families.stable_diffusion_3 import StableDiffusion3
from loraleak.bases.families.stable_diffusion_xl import StableDiffusionXL
from loraleak.bases.families.z_image import ZImage
from loraleak.bases.memory import offload_models, upcast_autoencoder, work_in_slices
from loraleak.bases.single_file import is_single_file, load_single_file
from loraleak.errors import UsageError
from loraleak.plugins import third_party

__all__ = ["FAMILIES", "load_base"]

FAMILIES: Mapping[str, type[DiffusersBase]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
    "Flux2Pipeline": Flux2,
    "Flux2KleinPipeline": Flux2,
    "ChromaPipeline": Chroma,
    "QwenImagePipeline": QwenImage,
    "ZImagePipeline": ZImage,
}
"""Families by the class of diffusers' pipeline. A new family is one more file and one more line, or an entry point in the group
`loraleak.families`: a subclass of `DiffusersBase`, under the name of the pipeline's class."""

_LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")
_MAY_LACK = ("text_encoder_3", "tokenizer_3")
"""Parts that a pipeline may lack: T5, which Stable Diffusion 3 can do without."""


def load_base(
    name: str = "pocket",
    *,
    config: str | None = None,
    device: str = "auto",
    dtype: Precision = "float32",
    resolution: int | None = None,
    offload: bool = False,
    save_memory: bool = False,
) -> DiffusersBase:
    """Load the base called `pocket`, or a diffusers pipeline by folder, hub id or single file. `BaseSettings` explains the
    options.

    Weights are read from safetensors only.
    Raises: UsageError, if there is no such pipeline, it is of no family that we know, or it cannot be run so; MissingExtraError, if
    it is to be offloaded without accelerate.

    >>> base = load_base("pocket", device="cpu")
    >>> base.resolution, tuple(base.embed(["a photo of a person"]).shape)
    (64, (1, 32, 128))
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    where, kind = pick_device(device), getattr(torch, dtype)
    pipeline = _from_file(name, config, kind) if is_single_file(name) else _from_folder(name, kind)
    upcast_autoencoder(pipeline)
    if offload:
        offload_models(pipeline, where)
    else:
        pipeline.to(where)
    base = _families()[type(pipeline).__name__](name, pipeline, device=where, resolution=resolution)
    if save_memory:
        work_in_slices(base)
    return base


def pick_device(device: str) -> torch.device:
    """The device of this name; `auto` takes cuda, then mps, then cpu."""
    if device != "auto":
        missing = (device.startswith("cuda") and not torch.cuda.is_available()) or (
            device == "mps" and not torch.backends.mps.is_available()
        )
        if missing:
            raise UsageError(f"this machine has no {device}: give --device cpu, or auto")
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _families() -> Mapping[str, type[DiffusersBase]]:
    return {**FAMILIES, **third_party("loraleak.families", FAMILIES)}


def _from_file(name: str, config: str | None, dtype: torch.dtype) -> Any:
    return load_single_file(Path(name), config, dtype, known=tuple(_families()))


def _from_folder(name: str, dtype: torch.dtype) -> Any:
    import diffusers
    import transformers

    source = POCKET if name == "pocket" else name
    try:
        index = diffusers.DiffusionPipeline.load_config(source)
        kind = index.get("_class_name", "")
        known = _families()
        if kind not in known:
            raise UsageError(f"base {name!r} is a {kind}: only {', '.join(known)} can be used")
        pipeline_class = getattr(diffusers, kind)
        left_out = [part for part in _LEFT_OUT if part in pipeline_class._optional_components]
        if kind == "StableDiffusion3Pipeline":
            left_out += [part for part in _MAY_LACK if _lacks(Path(source), index, part)]
        parts: dict[str, Any] = dict.fromkeys(left_out)
        if kind == "Flux2Pipeline":  # its processor reads pictures too, which needs torchvision
            parts["tokenizer"] = transformers.AutoTokenizer.from_pretrained(source, subfolder="tokenizer")
        return pipeline_class.from_pretrained(source, **parts, dtype=dtype, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"base {name!r} cannot be loaded ({reason}): give `pocket`, a diffusers pipeline folder, a hub id or a .safetensors file"
        ) from error


def _lacks(folder: Path, index: Mapping[str, Any], part: str) -> bool:
    named = index.get(part) or [None]
    return named[0] is None or (folder.is_dir() and not (folder / part).is_dir())
