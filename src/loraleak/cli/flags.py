"""Flags that several verbs have."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

__all__ = ["Out", "OutUrl"]

Out = Annotated[Path, arg(aliases=("-o",))]
OutUrl = Annotated[str, arg(aliases=("-o",))]
