"""Pictures of one split, rendered once and kept as a memory-mapped array, with files of the people and looks."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loraleak.files import write_json
from loraleak.people import TRAINING_STYLES, Look, Person, Split, draw_look, draw_people, render
from loraleak.progress import track
from loraleak.types import Images

__all__ = ["Renders", "render_split"]

_CHUNK = 250


@dataclass(frozen=True)
class Renders:
    """Pictures of people: `looks_per_person` of each, person by person."""

    images: Images
    people: list[Person]
    looks: list[Look]

    def __len__(self) -> int:
        return len(self.looks)

    @property
    def looks_per_person(self) -> int:
        return len(self.looks) // len(self.people)

    def person_of(self, index: int) -> Person:
        return self.people[index // self.looks_per_person]


def render_split(
    folder: Path,
    split: Split,
    *,
    people: int,
    looks: int,
    seed: int,
    styles: tuple[str, ...] = TRAINING_STYLES,
    distinct: bool = True,
    size: int = 64,
) -> Renders:
    """Render `people` x `looks` pictures of a split into `folder` on all cores, or map those that are already there."""
    recipe = {
        "split": split,
        "people": people,
        "looks": looks,
        "seed": seed,
        "styles": list(styles),
        "distinct": distinct,
        "size": size,
    }
    chosen = draw_people(split, people, seed=seed, styles=styles, distinct=distinct)
    drawn = [draw_look(np.random.default_rng([seed, i, j]), p.style) for i, p in enumerate(chosen) for j in range(looks)]
    done = folder / "renders.json"
    file = folder / "images.npy"
    if not (done.exists() and json.loads(done.read_text()) == recipe):
        folder.mkdir(parents=True, exist_ok=True)
        shape = (people * looks, size, size, 3)
        out = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        tasks = [(p, asdict(drawn[i * looks + j]), size) for i, p in enumerate(chosen) for j in range(looks)]
        for index, image in enumerate(track(_rendered(tasks), f"rendering {split}", total=len(tasks))):
            out[index] = image
        out.flush()
        write_json(done, recipe)
    return Renders(images=np.load(file, mmap_mode="r"), people=chosen, looks=drawn)


def _rendered(tasks: list[tuple[Person, dict[str, object], int]]) -> Iterator[Images]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(_render, tasks, chunksize=_CHUNK)


def _render(task: tuple[Person, dict[str, object], int]) -> Images:
    person, look, size = task
    return render(person, Look(**look), size)  # type: ignore[arg-type]
