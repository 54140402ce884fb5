"""Seconds of one picture on this machine: counted FLOPs, and a short measurement of how many the machine does in a second."""

import time
from copy import copy
from dataclasses import dataclass
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.ghost import FUSED, fused_attention, without_data

__all__ = ["Speed", "decoder_flops", "denoiser_flops", "speed_of"]

_ENOUGH = 2e11
"""FLOPs of a picture up to which its pass is measured as it is. A larger picture is measured at a smaller side. At much smaller sides a
large network would look slow, because reading its weights would take the time."""


@dataclass(frozen=True)
class Speed:
    """Seconds of one picture of many."""

    denoising: float
    """Through the denoiser."""
    decoding: float
    """Through the autoencoder's decoder."""


def speed_of(base: DiffusersBase) -> Speed:
    """Measured once for a base: where pictures are small, on as many as the autoencoder takes at once."""
    if base not in _SPEEDS:
        _SPEEDS[base] = _measured(base)
    return _SPEEDS[base]


_SPEEDS: WeakKeyDictionary[DiffusersBase, Speed] = WeakKeyDictionary()


def denoiser_flops(base: DiffusersBase, resolution: int | None = None) -> int:
    """FLOPs of one picture through the denoiser, counted; without an adapter."""
    ghost = copy(base)
    ghost.resolution = resolution or base.resolution
    ghost.denoiser = without_data(base.denoiser)
    ghost.components = {base.denoiser_name: ghost.denoiser}
    latents = torch.empty(1, *ghost.latent_shape, dtype=base.dtype, device="meta")
    condition = torch.empty(1, *base.condition_shape, dtype=base.dtype, device="meta")
    with torch.no_grad(), fused_attention(), _counter() as counter:
        ghost._denoise(latents, base.timesteps[:1].to("meta"), condition, 1.0)
    return int(counter.get_total_flops())


def decoder_flops(base: DiffusersBase) -> int:
    """FLOPs of one picture through the decoder, counted."""
    ghost = copy(base)
    ghost.vae = without_data(base.vae)
    latents = torch.empty(1, *base.latent_shape, dtype=base.vae.dtype, device="meta")
    with torch.no_grad(), fused_attention(), _counter() as counter:
        ghost.pixels(latents)
    return int(counter.get_total_flops())


def _counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping={FUSED: _attention})


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _measured(base: DiffusersBase) -> Speed:
    if 2 * sum(p.numel() for p in base.denoiser.parameters()) * prod(base.latent_shape[1:]) < _ENOUGH:
        return Speed(
            _seconds(base, base.resolution, base.at_once), _decoding(base)
        )  # small for sure: nothing needs to be counted
    flops = small = denoiser_flops(base)
    side, step = base.latent_shape[1], 8 * base.patch
    while small > _ENOUGH and side % (2 * step) == 0:
        side //= 2
        small = denoiser_flops(base, side * base.vae_scale)
    a_picture = _seconds(base, side * base.vae_scale) * flops / small
    return Speed(a_picture, a_picture * decoder_flops(base) / flops)


def _decoding(base: DiffusersBase) -> float:
    latents = torch.zeros(base.at_once, *base.latent_shape, device=base.device, dtype=base.like.dtype)
    start = time.perf_counter()
    base.decode(latents)
    return (time.perf_counter() - start) / base.at_once


@torch.no_grad()
def _seconds(base: DiffusersBase, resolution: int, count: int = 1) -> float:
    smaller = copy(base)
    smaller.resolution = resolution
    kind = base.like.dtype
    condition = torch.zeros(1, *base.condition_shape, device=base.device, dtype=kind)
    start = 0.0
    for pictures in (1, count):  # the first pass of a process takes longer
        latents = torch.zeros(pictures, *smaller.latent_shape, device=base.device, dtype=kind)
        timesteps = base.timesteps[:1].to(base.device).expand(pictures)
        start = time.perf_counter()
        smaller.predict(latents, timesteps, condition.expand(pictures, -1, -1)).cpu()  # waits for the device
    return (time.perf_counter() - start) / count
