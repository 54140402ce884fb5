"""Ways in which a base takes less memory."""

from typing import TYPE_CHECKING, Any

import torch

from loraleak.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from loraleak.bases.diffusers_base import DiffusersBase

__all__ = ["offload_models", "upcast_autoencoder", "work_in_slices"]


def upcast_autoencoder(pipeline: Any) -> None:
    """Run an autoencoder in float32 where its configuration says that float16 overflows (Stable Diffusion XL), as diffusers
    does."""
    if pipeline.vae.dtype == torch.float16 and pipeline.vae.config.get("force_upcast"):
        pipeline.vae.to(torch.float32)


def offload_models(pipeline: Any, device: torch.device) -> None:
    """Keep each model in the machine's memory, and move it to the device when its turn comes (accelerate's hooks).

    Raises: UsageError, on a CPU, where there is nothing to move; MissingExtraError, without accelerate.
    """
    if device.type == "cpu":
        raise UsageError("there is no GPU to keep models away from: leave out --offload, or give --device")
    try:
        pipeline.enable_model_cpu_offload(device=device)
    except ImportError as error:
        raise MissingExtraError("--offload moves models by accelerate: `pip install 'loraleak[offload]'`") from error


def work_in_slices(base: "DiffusersBase") -> None:
    """Take one picture at a time through the denoiser and the autoencoder, compute attention in slices where the denoiser can,
    and decode in tiles. Gradients recompute what they need (Chen et al. 2016)."""
    base.one_at_a_time = True
    base.pipeline.enable_attention_slicing()
    if hasattr(base.vae, "enable_tiling"):
        base.vae.enable_tiling()
    base.recompute()
