"""Embedders. In: RGB images of any size. Out: unit vectors, whose inner product is the raw cosine.

Reading order: `protocol` (what an embedder is), `names` (which there are), then one file a model. Names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loraleak.embedders.names import load_embedder as load_embedder
    from loraleak.embedders.protocol import Embedder as Embedder

_HOMES = {"Embedder": "loraleak.embedders.protocol", "load_embedder": "loraleak.embedders.names"}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loraleak.embedders' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
