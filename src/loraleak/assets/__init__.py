"""Paths of the files that ship inside the package: pocket with all that was made for it, and the demo."""

from pathlib import Path

__all__ = [
    "BUILD",
    "DEMO",
    "POCKET",
    "POCKET_EMBEDDER",
    "POCKET_KIT",
    "POCKET_KNOWN_LEAKS",
    "POCKET_WHO",
]

_HOME = Path(__file__).parent

POCKET = _HOME / "pocket"
"""The embedded base, a diffusers pipeline folder."""
POCKET_EMBEDDER = _HOME / "embedder"
POCKET_KIT = _HOME / "kit.safetensors"
"""Pocket's kit: attack, control adapters, other people, table of sensitivity, calibration."""
POCKET_KNOWN_LEAKS = _HOME / "known-leaks"
"""Adapters that are known to give their person away, each with its photos."""
POCKET_WHO = _HOME / "who-null.json"
"""How alike pictures from files of styles and things are on pocket, for `attack --who`."""
DEMO = _HOME / "demo"
"""`adapter.safetensors`, its private images in `photos/`, and the owner's prompt in `prompt.txt`."""
BUILD = _HOME / "build.json"
"""Record of how these were built, with their measured quality."""
