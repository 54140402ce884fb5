"""Base models. In: a name, a pipeline folder or a hub id. Out: a `Base` that encodes, decodes, embeds prompts, predicts noise
with or without an adapter, and names the modules that an adapter may change.
"""

from loraleak.bases.diffusers_base import DiffusersBase, load_base
from loraleak.bases.sampling import Denoiser, sample

__all__ = ["Denoiser", "DiffusersBase", "load_base", "sample"]
