"""Bases: encode, decode, predict noise, sample with any condition; with an adapter or without."""

from loraleak.bases.diffusers_base import DiffusersBase, load_base
from loraleak.bases.sampling import Denoiser, guided, sample

__all__ = ["Denoiser", "DiffusersBase", "guided", "load_base", "sample"]
