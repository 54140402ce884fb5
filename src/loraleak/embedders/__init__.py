"""Embedders. In: RGB images of any size. Out: unit vectors of the people shown, whose inner product is the raw cosine.

Reading order: `protocol` (what an embedder is), `names` (all embedders), `choice` (the one that an audit uses), then one file a model.
Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.embedders.choice import Choice as Choice
    from loraleak.embedders.choice import choose_embedder as choose_embedder
    from loraleak.embedders.names import load_embedder as load_embedder
    from loraleak.embedders.protocol import Embedder as Embedder

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "choice": ["Choice", "choose_embedder"],
        "names": ["load_embedder"],
        "protocol": ["Embedder"],
    },
)
