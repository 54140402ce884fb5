"""Identity folders of synthetic people, as files."""

from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from loraleak.files import write_bytes, write_json, write_text
from loraleak.people.avatars import Person, draw_look, render
from loraleak.people.captions import caption
from loraleak.people.splits import split_of
from loraleak.people.styles import STYLES
from loraleak.types import Picture

__all__ = ["write_people"]


def write_people(folder: Path, people: Sequence[Person], *, images: int, size: int, seed: int, first: int = 0) -> list[Path]:
    """Write `<folder>/<identity>/<n>.png`, a caption for each, traits in `person.json`, and a NOTICE of the licences.

    Identities are numbered from `first`. Looks are a function of the seed and that number.
    """
    written: list[Path] = []
    for index, person in enumerate(people, first):
        home = folder / f"{split_of(person)}-{index:04d}"
        looks = [draw_look(np.random.default_rng([seed, index, j]), person.style) for j in range(images)]
        for j, look in enumerate(looks):
            write_bytes(home / f"{j:02d}.png", _png(render(person, look, size)))
            write_text(home / f"{j:02d}.txt", caption(person, look) + "\n")
        facts = {
            "split": split_of(person),
            "traits": asdict(person),
            "attributes": person.attributes(),
            "looks": [asdict(look) for look in looks],
        }
        write_json(home / "person.json", facts)
        written.append(home)
    credits = {STYLES[person.style].name: STYLES[person.style] for person in people}
    lines = [f"{style.credit} ({style.licence}); rendered through DiceBear.\n" for style in credits.values()]
    write_text(folder / "NOTICE", "Synthetic people.\n" + "".join(lines))
    return written


def _png(picture: Picture) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
