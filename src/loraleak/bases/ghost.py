"""Copies of a base's models without data, on which memory and FLOPs are counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FUSED", "fused_attention", "without_data"]

FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention as devices compute it, without the matrix of attention weights."""


def without_data(model: Any) -> Any:
    """The same model with weights that have shapes alone."""
    with torch.device("meta"):
        ghost = type(model).from_config(model.config).requires_grad_(False).eval()
    return nn.Module.to(ghost, next(model.parameters()).dtype)


@contextmanager
def fused_attention() -> Iterator[None]:
    """Context in which attention is computed as devices do, without the matrix of attention weights. Tensors without data would
    make that matrix otherwise.

    torch's function itself is replaced, so that the passes that gradients recompute use the new one too.
    """
    usual = F.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        attended: Tensor = FUSED(query, key, value)[0]
        return attended

    F.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        F.scaled_dot_product_attention = usual
