"""`loraleak pocket`: the embedded base."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from loraleak.assets import BUILD
from loraleak.cli.flags import Out

__all__ = ["Pocket"]


@dataclass(frozen=True)
class Pocket:
    """Rebuilds the embedded base with its embedder, attack, controls and demo (most of a day), or shows their quality."""

    after_interrupt: ClassVar[str] = "finished parts and checkpoints are kept; the same command goes on from there"

    job: Positional[Literal["build", "show"]]
    """`build` makes all parts and goes on where it was stopped; `show` prints the quality of those that ship."""
    out: Out = Path("pocket-build/assets")
    """Folder for the finished parts."""
    work: Path = Path("pocket-build/work")
    """Folder for renders, checkpoints and logs."""
    json: bool = False
    """Print the metrics as JSON on stdout."""

    def run(self) -> int:
        if self.job == "show":
            metrics = json.loads(BUILD.read_text("utf-8"))["metrics"]
        else:
            from loraleak.outputs import check_work
            from loraleak.pocket import BuildRecipe, build_pocket

            check_work(self.work)
            check_work(self.out)
            metrics = build_pocket(BuildRecipe(), self.work, self.out)
        print(json.dumps(metrics, indent=None if self.json else 1))
        return 0
