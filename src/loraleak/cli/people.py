"""`loraleak people`: synthetic identity folders."""

import json
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from loraleak.errors import UsageError
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
    json: bool = False
    """Print the folders as JSON on stdout."""

    def __post_init__(self) -> None:
        if min(self.count, self.images) < 1 or self.first < 0 or not 16 <= self.size <= 2048 or not self.styles:
            raise UsageError("count and images must be at least 1, size 16 to 2048, and one style given")

    def run(self) -> int:
        from loraleak.people import draw_people, write_people

        people = draw_people(self.split, self.first + self.count, seed=self.seed, styles=self.styles)[self.first :]
        written = write_people(self.out, people, images=self.images, size=self.size, seed=self.seed, first=self.first)
        print(json.dumps([str(path) for path in written]) if self.json else f"{self.out}: {len(written)} people")
        return 0
