"""A pipeline in one file, as the original code and most interfaces have it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from loraleak.errors import UsageError

__all__ = ["is_single_file", "load_single_file"]

_PICKLES = (".ckpt", ".pt", ".pth", ".bin")
_KINDS = {
    "v1": "StableDiffusionPipeline",
    "v2": "StableDiffusionPipeline",
    "xl_base": "StableDiffusionXLPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "sd35_medium": "StableDiffusion3Pipeline",
    "sd35_large": "StableDiffusion3Pipeline",
    "flux-dev": "FluxPipeline",
    "flux-schnell": "FluxPipeline",
}
"""Pipelines by diffusers' name for what it finds in a file."""


def is_single_file(name: str) -> bool:
    """Whether this is the name of a file of any kind, and not of a folder or of a pipeline on the hub."""
    return Path(name).is_file() or name.endswith((".safetensors", *_PICKLES))


def load_single_file(file: Path, config: str | None, dtype: torch.dtype, *, known: tuple[str, ...]) -> Any:
    """Load the pipeline by diffusers' own reader. The configuration, and the models that the file lacks, come from `config`, a
    pipeline of the same kind, or from the hub where that is None.

    Raises: UsageError, if the file is no such checkpoint, or lacks what `config` does not have either.
    """
    import diffusers
    from diffusers.loaders.single_file_utils import (
        SingleFileComponentError,
        infer_diffusers_model_type,
        load_single_file_checkpoint,
    )
    from safetensors import SafetensorError

    _refuse_others(file)
    try:
        held = load_single_file_checkpoint(str(file))
        index = {} if config is None else diffusers.DiffusionPipeline.load_config(config)
        kind = index["_class_name"] if config is not None else _KINDS.get(infer_diffusers_model_type(held), "")
        if kind not in known:
            raise UsageError(
                f"it is no checkpoint of {', '.join(known)}", path=file, remedy="give one of them, or its --base-config"
            )
        pipeline_class = getattr(diffusers, kind)
        left_out = [part for part in ("safety_checker", "feature_extractor") if part in pipeline_class._optional_components]
        others = {} if config is None else _parts_beside(held, index, config, dtype)
        return pipeline_class.from_single_file(str(file), config=config, dtype=dtype, **dict.fromkeys(left_out), **others)
    except SingleFileComponentError as error:
        raise UsageError(
            f"it does not hold the whole pipeline ({_line(error)})",
            path=file,
            remedy="give a complete pipeline folder of the same kind with --base-config",
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        need = "its configuration comes from the hub; offline, give a pipeline folder of the same kind with --base-config"
        remedy = need if config is None else "give the --base-config of the pipeline that it is of"
        raise UsageError(f"it cannot be loaded ({_line(error)})", path=file, remedy=remedy) from error


def _parts_beside(held: Mapping[str, Any], index: Mapping[str, Any], config: str, dtype: torch.dtype) -> dict[str, Any]:
    """The text encoders and the autoencoder that a file lacks, from the pipeline `config`. Many interfaces share files like
    that."""
    import diffusers
    import transformers
    from diffusers.loaders.single_file_utils import LDM_VAE_KEYS, is_clip_model_in_single_file, is_t5_in_single_file

    found: dict[str, Any] = {}
    for part, named in index.items():
        if not (part == "vae" or part.startswith("text_encoder")) or not isinstance(named, list) or named[0] is None:
            continue
        model_class = getattr(transformers if named[0] == "transformers" else diffusers, named[1])
        if part == "vae":
            has_own = any(name.startswith(tuple(LDM_VAE_KEYS)) for name in held)
        else:
            has_own = is_clip_model_in_single_file(model_class, held) or (
                named[1].startswith("T5") and is_t5_in_single_file(held)
            )
        if not has_own:
            found[part] = model_class.from_pretrained(config, subfolder=part, dtype=dtype, use_safetensors=True)
    return found


def _refuse_others(file: Path) -> None:
    if file.suffix.lower() in _PICKLES:
        raise UsageError(
            "it is a pickle (.ckpt, .pt, .bin), which can run programs and is never opened",
            path=file,
            remedy="take a .safetensors file of the same model, or, if you made it yourself, convert it where it was made with "
            "`state = torch.load(FILE, weights_only=True); "
            "safetensors.torch.save_file(state.get('state_dict', state), 'base.safetensors')`",
        )
    if file.suffix.lower() != ".safetensors":
        fault = f"it is a {file.suffix or 'nameless'} file"
        raise UsageError(fault, path=file, remedy="give a .safetensors checkpoint or a pipeline folder")
    if not file.is_file():
        raise UsageError("it does not exist", path=file, remedy="give a .safetensors checkpoint, a pipeline folder or a hub id")


def _line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
