"""An adapter of the tests' tiny pipeline, with all that adapters differ in."""

import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.types import Adapter, Factors


@pytest.fixture
def adapter(base: DiffusersBase) -> Adapter:
    """Ranks 1 to 5, convolutions of two kernel sizes, the text encoder, a scale that is unknown."""
    generator = torch.Generator().manual_seed(5)
    modules = [
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", 4, 1.0),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 5, 0.25),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj", 3, None),
        ("unet.down_blocks.0.resnets.0.conv1", 4, 0.7),
        ("unet.down_blocks.0.attentions.0.proj_in", 1, 2.0),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", 2, 1.0),
    ]
    factors = {}
    for name, rank, scale in modules:
        d_out, *d_in = base.modules[name]
        ones = [1] * (len(d_in) - 1)
        factors[name] = Factors(
            torch.randn(rank, *d_in, generator=generator), torch.randn(d_out, rank, *ones, generator=generator), scale
        )
    return Adapter(factors=factors, format="diffusers", metadata={"format": "pt", "ss_output_name": "Jane"}, sha256="a" * 64)
