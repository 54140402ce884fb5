"""Folders that show the same person, found before anything is trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.embedders import Embedder
from loraleak.errors import PhotosError, UsageError
from loraleak.files import replacing
from loraleak.kits import Kit
from loraleak.people import Identity, read_photos
from loraleak.progress import announce, track
from loraleak.scores import recurring, template
from loraleak.types import Embeddings
from loraleak.untrusted import printable

__all__ = ["Known", "doubles", "know", "refuse_known", "tell_doubles"]

_SHOWN = 5
_SURELY = 0.8
"""Cosine of two templates from which they surely are of one person. Different people of one studio come to 0.6."""


@dataclass(frozen=True)
class Known:
    """A person of a folder as an embedder sees them."""

    identity: Identity
    vectors: Embeddings
    """Vectors of the person, one for each photo that shows them."""
    sha256: tuple[str, ...]
    """Hashes of all photo files."""

    @property
    def template(self) -> Float[np.ndarray, " dim"]:
        return template(self.vectors)


def know(people: Sequence[Identity], embedder: Embedder, folder: Path | None = None) -> list[Known]:
    """Embed everybody's photos. `folder` keeps what is done, so that a stopped run goes on.

    Raises: PhotosError, naming the people on fewer than two of whose photos the embedder finds the person.
    """
    known, faults = [], []
    for identity in track(people, "looking at everybody", len(people)):
        photos = read_photos(identity.home, whole=True)
        hashes = tuple(photo.sha256 for photo in photos)
        file = None if folder is None else folder / f"{identity.name}.npz"
        vectors = None if file is None else _kept(file, embedder.name, hashes)
        if vectors is None:
            sightings = embedder.embed([photo.picture for photo in photos])
            if not np.isfinite(sightings.vectors).all():
                raise UsageError(
                    f"embedder {embedder.name} gave vectors that are no numbers: its weights are damaged, load it anew"
                )
            vectors = recurring(sightings, embedder.same_person).person.vectors if sightings.counts.any() else sightings.vectors
            if file is not None:
                with replacing(file) as partial:
                    np.savez(partial, vectors=vectors, embedder=embedder.name, hashes=np.array(hashes))
        if len(vectors) < 2:
            faults.append(f"{identity.name} is found on {len(vectors)} of {len(photos)} photos")
        known.append(Known(identity, vectors, hashes))
    if faults:
        raise PhotosError(*faults, remedy="add clear photos of these people, or take their folders out")
    return known


def doubles(known: Sequence[Known], same_person: float | None) -> list[tuple[str, ...]]:
    """Groups of folders that show the same person, by name: they share a photo file, or their templates are as near as two photos
    of one person. Where the embedder publishes no such cosine, it is the median cosine of a photo with its own person's others.
    """
    people = [person.identity.name for person in known]
    templates = np.stack([person.template for person in known])
    near = templates @ templates.T >= (_usual_likeness(known) if same_person is None else _of_templates(known, same_person))
    files: dict[str, int] = {}
    for i, person in enumerate(known):
        for sha256 in person.sha256:
            first = files.setdefault(sha256, i)
            near[first, i] = near[i, first] = True
    left, groups = set(range(len(known))), []
    while left:
        group, waiting = set[int](), [left.pop()]
        while waiting:
            group.add(one := waiting.pop())
            alike = {int(other) for other in np.flatnonzero(near[one])} & left
            left -= alike
            waiting += alike
        if len(group) > 1:
            groups.append(tuple(sorted(people[i] for i in group)))
    return sorted(groups)


def tell_doubles(known: Sequence[Known], embedder: Embedder, consequence: str) -> list[tuple[str, ...]]:
    """Find folders that show the same person, and tell of them with what follows from it."""
    groups = doubles(known, embedder.same_person)
    for group in groups:
        announce(f"{printable(', '.join(group), 300)} seem to show the same person: {consequence}")
    return groups


def refuse_known(known: Sequence[Known], kit: Kit, embedder: Embedder) -> None:
    """Refuse people who look like one of the kit's own, where the embedder tells when two photos are of one person.

    Raises: UsageError, naming them.
    """
    if embedder.same_person is None or kit.sampling.embedder != embedder.name or not kit.people:
        return
    theirs = np.stack([template(photos) for photos in kit.people])
    surely = max(embedder.same_person, _SURELY)
    own = [person.identity.name for person in known if (theirs @ person.template).max() >= surely]
    if own:
        raise UsageError(
            f"{printable(', '.join(own[:_SHOWN]), 300)}: the kit has templates of these people, so nothing can be measured on them "
            "with it: give others"
        )


def _of_templates(known: Sequence[Known], same_person: float) -> float:
    """The threshold of single photos, or the median likeness of a person's photos where that is higher: templates, being means,
    are nearer to each other than photos are."""
    return max(same_person, _usual_likeness(known))


def _usual_likeness(known: Sequence[Known]) -> float:
    return float(np.median(np.concatenate([_with_the_others(person.vectors) for person in known])))


def _with_the_others(vectors: Embeddings) -> Float[np.ndarray, " photos"]:
    return np.array([vectors[i] @ template(np.delete(vectors, i, axis=0)) for i in range(len(vectors))])


def _kept(file: Path, embedder: str, hashes: tuple[str, ...]) -> Embeddings | None:
    try:
        with np.load(file, allow_pickle=False) as held:
            if str(held["embedder"]) == embedder and tuple(held["hashes"].tolist()) == hashes:
                vectors: Embeddings = held["vectors"]
                return vectors
    except (OSError, ValueError, KeyError, EOFError):
        pass
    return None
