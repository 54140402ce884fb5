"""Embedders by name."""

from collections.abc import Callable, Mapping

from loraleak.embedders.protocol import Embedder
from loraleak.errors import UsageError
from loraleak.plugins import third_party

__all__ = ["load_embedder"]


def load_embedder(name: str = "pocket") -> Embedder:
    """Load `pocket`, `faces`, `general`, `clip:<folder or hub id>`, `dino:<folder or hub id>`, or an embedder of a third party.

    Third parties add theirs through entry points in the group `loraleak.embedders`, as callables without arguments.
    Raises: UsageError, listing the names that there are; MissingExtraError, where an extra must be installed first.
    """
    kind, colon, source = name.partition(":")
    if colon and kind in _FROM_SOURCE and source:
        return _FROM_SOURCE[kind](source)
    if not colon and kind in _PLAIN:
        return _PLAIN[kind]()
    added = third_party("loraleak.embedders", _PLAIN)
    if name in added:
        loaded: Embedder = added[name]()
        return loaded
    known = [*_PLAIN, *(f"{kind}:<folder or hub id>" for kind in _FROM_SOURCE), *added]
    raise UsageError(f"no embedder is called {name!r}: choose from {', '.join(known)}")


def _pocket() -> Embedder:
    from loraleak.embedders.pocket import PocketEmbedder

    return PocketEmbedder.load()


def _faces() -> Embedder:
    from loraleak.embedders.faces import FacesEmbedder

    return FacesEmbedder.load()


def _general() -> Embedder:
    from loraleak.embedders.general import GeneralEmbedder

    return GeneralEmbedder.load()


def _clip(source: str) -> Embedder:
    from loraleak.embedders.hub import ClipEmbedder

    return ClipEmbedder.load(source)


def _dino(source: str) -> Embedder:
    from loraleak.embedders.hub import DinoEmbedder

    return DinoEmbedder.load(source)


_PLAIN: Mapping[str, Callable[[], Embedder]] = {"pocket": _pocket, "faces": _faces, "general": _general}
_FROM_SOURCE: Mapping[str, Callable[[str], Embedder]] = {"clip": _clip, "dino": _dino}
