"""Files with known leaks: would these settings have found them?

A folder of known leaks holds a sub-folder for each person, with `adapter.safetensors` and the photos that it was trained on. Pocket's
come with the package. For another base an owner trains some, on people who agreed or who do not exist.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loraleak.adapters import load_adapter
from loraleak.auditing.nulls.other_people import OtherPeople, against_other_people
from loraleak.cache import cache_folder, cached
from loraleak.embedders import Embedder
from loraleak.errors import PhotosError
from loraleak.people import read_photos
from loraleak.progress import track
from loraleak.scores import recurring
from loraleak.types import Adapter, Embeddings, Sightings

__all__ = ["MIN_KNOWN_LEAKS", "KnownLeak", "count_found", "read_known_leaks"]

MIN_KNOWN_LEAKS = 3
"""Fewest files that can speak for a way of auditing."""

_ADAPTER = "adapter.safetensors"


@dataclass(frozen=True)
class KnownLeak:
    """One adapter, and the person whom it gives away."""

    name: str
    adapter: Adapter
    photos: Embeddings
    """Embeddings of the person, photo by photo."""


def read_known_leaks(folder: Path, embedder: Embedder) -> tuple[KnownLeak, ...]:
    """Read every person of a folder.

    Raises: PhotosError, if there is no folder, or fewer than `MIN_KNOWN_LEAKS` people are in it; as `load_adapter` and `read_photos`.
    """
    homes = sorted(file.parent for file in folder.glob(f"*/{_ADAPTER}")) if folder.is_dir() else []
    if len(homes) < MIN_KNOWN_LEAKS:
        raise PhotosError(
            f"it holds {len(homes)} files with known leaks, at least {MIN_KNOWN_LEAKS} are needed",
            path=folder,
            remedy=f"give a sub-folder for each person, with {_ADAPTER} and the photos that it was trained on",
        )
    leaks = []
    for home in homes:
        sightings = embedder.embed([photo.picture for photo in read_photos(home)])
        vectors = recurring(sightings, embedder.same_person).person.vectors
        leaks.append(KnownLeak(home.name, load_adapter(home / _ADAPTER), vectors))
    return tuple(leaks)


def count_found(
    leaks: Sequence[KnownLeak],
    sampled: Callable[[Adapter], Mapping[str, Sightings]],
    others: OtherPeople,
    *,
    floor: str,
    level: float,
    decided_by: Sequence[object],
    quiet: bool = True,
) -> int:
    """Number of files in which the attacks find the person at this level of p.

    `sampled` gives an adapter's embedded pictures by arm: those of the attacks, and of the `floor`. The cache keeps p-values under
    the adapters, the photos, the other people and `decided_by`, which names all settings on which the pictures depend.
    """
    found = 0
    for leak in track(leaks, "files with known leaks", len(leaks), hidden=quiet):

        def p_value(leak: KnownLeak = leak) -> np.ndarray:
            pictures = sampled(leak.adapter)
            attacks = [name for name in pictures if name != floor]
            return np.array(against_other_people(pictures, leak.photos, others, attacks=attacks, floor=floor).p_value)

        file = cache_folder() / "known-leaks" / f"{_key(leak, others, decided_by)}.npy"
        found += float(cached(file, p_value)) <= level
    return found


def _key(leak: KnownLeak, others: OtherPeople, decided_by: Sequence[object]) -> str:
    digest = hashlib.sha256(json.dumps([leak.adapter.sha256, *decided_by], default=str).encode())
    for vectors in (leak.photos, *others.photos):
        digest.update(np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
    return digest.hexdigest()[:32]
