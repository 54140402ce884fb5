"""A base by name: `pocket`, a diffusers pipeline folder, a hub id."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import loraleak.bases.autoencoder  # noqa: F401  (pocket's pipeline folder names this class)
from loraleak.bases.diffusers_base import DiffusersBase, pick_device
from loraleak.bases.families.flux import Flux
from loraleak.bases.families.stable_diffusion import StableDiffusion
from loraleak.bases.families.stable_diffusion_3 import StableDiffusion3
from loraleak.bases.families.stable_diffusion_xl import StableDiffusionXL
from loraleak.errors import UsageError

__all__ = ["FAMILIES", "POCKET", "load_base"]

POCKET = Path(__file__).parents[1] / "assets" / "pocket"
"""The embedded base, a pipeline folder inside the package."""

FAMILIES: Mapping[str, type[DiffusersBase]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
}
"""By the class of diffusers' pipeline: a new family is one more file and one more line."""

_LEFT_OUT = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}


def load_base(name: str = "pocket", *, device: str = "auto", resolution: int | None = None) -> DiffusersBase:
    """The base called `pocket`, or a diffusers pipeline by folder or hub id, in float32.

    Raises: UsageError, if there is no such pipeline, or it is of no family that we know.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    pipeline = _from_folder(name)
    where = pick_device(device)
    pipeline.to(where)
    return FAMILIES[type(pipeline).__name__](name, pipeline, device=where, resolution=resolution)


def _from_folder(name: str) -> Any:
    import diffusers

    source = POCKET if name == "pocket" else name
    try:
        kind = diffusers.DiffusionPipeline.load_config(source).get("_class_name", "")
        _check_kind(name, kind)
        pipeline_class = getattr(diffusers, kind)
        known = {part: None for part in _LEFT_OUT if part in pipeline_class._optional_components}
        return pipeline_class.from_pretrained(source, **known, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"base {name!r} cannot be loaded ({reason}): give `pocket`, a diffusers pipeline folder or a hub id"
        ) from error


def _check_kind(name: str, kind: str) -> None:
    if kind not in FAMILIES:
        raise UsageError(
            f"base {name!r} is a {kind or 'folder of another kind'}, and only {', '.join(FAMILIES)} can be used: give one of them"
        )
