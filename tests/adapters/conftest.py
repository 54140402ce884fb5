"""Adapters and files for these tests, made anew with every run."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from loraleak.types import Adapter, Factors

_BLOCK = "unet.down_blocks.0.attentions.0.transformer_blocks.0"
_TEXT = "text_encoder.text_model.encoder.layers.0"


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    """Reproducible random tensors."""
    generator = torch.Generator().manual_seed(7)
    return lambda *shape: torch.randn(*shape, generator=generator)


@pytest.fixture
def unet_adapter(normal: Callable[..., Tensor]) -> Adapter:
    """Ranks 4, 2 and 3, scales that are no round numbers, linear layers and convolutions of two kernel sizes."""
    return Adapter(
        factors={
            f"{_BLOCK}.attn1.to_q": Factors(normal(4, 32), normal(32, 4), 2.0),
            f"{_BLOCK}.attn1.to_out.0": Factors(normal(2, 32), normal(32, 2), 0.1),
            f"{_BLOCK}.attn2.to_k": Factors(normal(3, 32), normal(32, 3), 1 / 3),
            f"{_BLOCK}.ff.net.0.proj": Factors(normal(4, 32), normal(256, 4), 2.0),
            "unet.down_blocks.0.resnets.0.conv1": Factors(normal(4, 32, 3, 3), normal(32, 4, 1, 1), 0.7),
            "unet.down_blocks.0.attentions.0.proj_in": Factors(normal(2, 32, 1, 1), normal(32, 2, 1, 1), 2.0),
            "unet.conv_out": Factors(normal(1, 32, 3, 3), normal(4, 1, 1, 1), 1.5),
        },
        format="memory",
    )


@pytest.fixture
def adapter(unet_adapter: Adapter, normal: Callable[..., Tensor]) -> Adapter:
    """As `unet_adapter`, with a text encoder beside."""
    text = {
        f"{_TEXT}.self_attn.q_proj": Factors(normal(4, 32), normal(32, 4), 0.25),
        f"{_TEXT}.self_attn.out_proj": Factors(normal(3, 32), normal(32, 3), 5.0),
        f"{_TEXT}.mlp.fc1": Factors(normal(2, 32), normal(64, 2), 0.3),
    }
    return Adapter(factors={**unet_adapter.factors, **text}, format="memory", metadata={"ss_seed": "42", "format": "pt"})
