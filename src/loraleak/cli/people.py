"""`loraleak people`: synthetic identity folders."""

import json
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from loraleak.checks import SEEDS, out_of_bounds, refuse
from loraleak.people import TRAINING_STYLES, Split, StyleName

__all__ = ["People"]


@dataclass(frozen=True)
class People:
    """Makes folders of synthetic people, with captions and ground-truth attributes."""

    out: Positional[Path]
    """Folder to write into: <identity>/<image>.png."""
    count: int = 10
    """Number of people."""
    first: int = 0
    """Number of the first person. Earlier ones are left out, so that two folders of one seed can share nobody."""
    images: int = 5
    """Pictures of each person."""
    split: Split = "victims"
    """Split: base and embedder trained pocket, public is for attackers, victims for scoring. Splits never share a person."""
    styles: tuple[StyleName, ...] = TRAINING_STYLES
    """Drawing styles, which take turns. Pocket has never seen toon-head."""
    size: int = 64
    """Side of the pictures in pixels."""
    seed: int = 0
    """Seed of the people and their looks."""
    overwrite: bool = False
    """Replace the people of an earlier run in that folder."""
    json: bool = False
    """Print the folders as JSON on stdout."""

    def __post_init__(self) -> None:
        bounds = {"count": (1, 1_000_000), "first": (0, 1_000_000), "images": (1, 10_000), "size": (16, 2048), "seed": SEEDS}
        refuse(*out_of_bounds(self, bounds), *([] if self.styles else ["styles is empty, give at least one"]))

    def run(self) -> int:
        from loraleak.outputs import run_folder
        from loraleak.people import draw_people, write_people

        people = draw_people(self.split, self.first + self.count, seed=self.seed, styles=self.styles)[self.first :]
        with run_folder(self.out, "people", overwrite=self.overwrite) as partial:
            written = write_people(partial, people, images=self.images, size=self.size, seed=self.seed, first=self.first)
        print(
            json.dumps([str(self.out / path.name) for path in written]) if self.json else f"{self.out}: {len(written)} people"
        )
        return 0
