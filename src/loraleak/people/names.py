"""Names of splits and of drawing styles; light to import, so that the command line starts fast."""

from typing import Literal, get_args

__all__ = ["SPLITS", "TRAINING_STYLES", "Split", "StyleName"]

Split = Literal["base", "embedder", "public", "victims", "controls"]
SPLITS: tuple[Split, ...] = get_args(Split)

StyleName = Literal["avataaars", "open-peeps", "toon-head"]
TRAINING_STYLES: tuple[StyleName, ...] = ("avataaars", "open-peeps")
"""Styles of the people that pocket was trained on."""
