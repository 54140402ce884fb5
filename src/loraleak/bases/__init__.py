"""Bases: encode, decode, predict, sample with any condition; with an adapter or without.

In: the name of a pipeline, an adapter, prompts. Out: predictions and pictures. Reading order: `diffusion` and `flow` (noise
schedules), `diffusers_base` (what every base does), `families` (what differs), `load`, `sampling`; beside them `lora_layers` (one
adapter) and `stacked_layers` (many at once).
"""

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.families.stable_diffusion import StableDiffusion
from loraleak.bases.load import load_base
from loraleak.bases.pocket_autoencoder import PocketAutoencoder
from loraleak.bases.sampling import (
    Denoiser,
    Mixture,
    Pass,
    Timestep,
    guided,
    sample,
    sample_together,
    sampled_at_once,
    times_strength,
)
from loraleak.bases.stacked_layers import Stack

__all__ = [
    "Denoiser",
    "DiffusersBase",
    "Mixture",
    "Pass",
    "PocketAutoencoder",
    "StableDiffusion",
    "Stack",
    "Timestep",
    "guided",
    "load_base",
    "sample",
    "sample_together",
    "sampled_at_once",
    "times_strength",
]
