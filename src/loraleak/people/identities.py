"""One type for a person with photos, drawn or from a folder. Photos are made, or read, when they are asked for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from loraleak.errors import PhotosError, UsageError
from loraleak.people.avatars import Person, draw_look, render
from loraleak.people.folders import identity_folders, list_photos, read_captions, read_photos
from loraleak.types import Images, Picture
from loraleak.untrusted import encodable

__all__ = ["Identity", "identities_in", "pictures"]


@dataclass(frozen=True)
class Identity:
    """One person: a drawn one, or the photos of one folder."""

    name: str
    source: Person | Path
    """The traits of a drawn person, or the folder with the photos of a real one."""

    @cached_property
    def photos(self) -> tuple[str, ...]:
        """Names of the photos in the folder; none for a drawn person, of whom there are as many as anybody asks for."""
        return list_photos(self.source).names if isinstance(self.source, Path) else ()

    @property
    def home(self) -> Path:
        """The folder. Raises: UsageError, for a drawn person, who has none."""
        if not isinstance(self.source, Path):
            raise UsageError(
                f"{self.name} is drawn and has no folder: write the people with `loraleak people`, and read them there"
            )
        return self.source

    @property
    def captions(self) -> list[str]:
        """Captions of the photos in the folder. Raises: as `read_captions`."""
        return read_captions(self.home)

    @property
    def traits(self) -> Mapping[str, str]:
        """The true traits by name: of a drawn person, or those under `attributes` in the folder's `person.json`.

        Raises: UsageError, if nobody wrote them down.
        """
        if not isinstance(self.source, Path):
            return self.source.attributes()
        file = self.source / "person.json"
        try:
            held = json.loads(file.read_text("utf-8"))["attributes"]
            return {str(name): str(value) for name, value in held.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"it tells no traits ({type(error).__name__})",
                path=encodable(str(file)),
                remedy='write them there, such as {"attributes": {"hair": "short"}}, with the same names for everybody',
            ) from error

    def everything(self) -> list[Picture]:
        """All photos in the folder. Raises: PhotosError, if one of them cannot be used."""
        return [photo.picture for photo in read_photos(self.home, whole=True)]

    @property
    def drawn(self) -> Person:
        """The traits. Raises: UsageError, for a person of a folder, whose traits nobody knows."""
        if isinstance(self.source, Path):
            raise UsageError(f"{self.name} is a person of a folder: this takes drawn people, whose traits are known")
        return self.source

    def private(self, count: int, *, seed: int, number: int) -> Sequence[Picture] | Images:
        """`count` photos for an adapter to be trained on. The seed and the person's number choose the looks of drawn people.

        Raises: PhotosError, if the folder has no further photo besides, by which the person could be found.
        """
        if isinstance(self.source, Path):
            return self._read(self._chosen(count, seed))
        return pictures(self.source, count, seed=(seed, number, 0))

    def some(self, count: int, *, seed: int) -> Sequence[Picture] | Images:
        """`count` photos of a folder, or all if it holds fewer; of a drawn person, as many as wanted."""
        if isinstance(self.source, Path):
            return self._read(sorted(self._shuffled(seed)[:count]))
        return pictures(self.source, count, seed=(seed, 2))

    def further(self, count: int, *, seed: int, number: int, private: int) -> Sequence[Picture] | Images:
        """`count` photos at most, none of which is among those `private` ones."""
        if isinstance(self.source, Path):
            taken = set(self._chosen(private, seed))
            return self._read([name for name in self._shuffled(seed) if name not in taken][:count])
        return pictures(self.source, count, seed=(seed, number, 1))

    def key(self, count: int, *, seed: int) -> str:
        """Text that tells these `private` photos from all others, by what the person is made of."""
        if not isinstance(self.source, Path):
            return repr(self.source)
        photos = read_photos(self.source, only=self._chosen(count, seed), whole=True)
        return json.dumps([self.name, [photo.sha256 for photo in photos]])

    def _chosen(self, count: int, seed: int) -> list[str]:
        if len(self.photos) <= count:
            raise PhotosError(
                f"it holds {len(self.photos)} photos, and {count} to train on with one more to find the person by are needed",
                path=str(self.source),
                remedy="add photos, leave the person out, or take fewer photos of everybody",
            )
        return sorted(self._shuffled(seed)[:count])

    def _shuffled(self, seed: int) -> list[str]:
        rng = np.random.default_rng([seed, *hashlib.sha256(self.name.encode()).digest()[:8]])
        return [self.photos[i] for i in rng.permutation(len(self.photos))]

    def _read(self, names: Sequence[str]) -> list[Picture]:
        assert isinstance(self.source, Path)
        return [photo.picture for photo in read_photos(self.source, only=names, whole=True)]


def identities_in(folder: str | Path) -> list[Identity]:
    """The people of a folder, by name: one for each sub-folder with images. Images in the folder itself are of nobody.

    Raises: PhotosError, if there is no such folder, or no person in it.
    """
    homes = [home for home in identity_folders(folder) if home != Path(folder)]
    if not homes:
        raise PhotosError(
            "it holds images but no folder of a person",
            path=folder,
            remedy="give the folder above, people/<identity>/<image>.png",
        )
    return [Identity(encodable(home.name), home) for home in homes]


def pictures(person: Person, count: int, *, seed: tuple[int, ...]) -> Images:
    """Pictures of one drawn person in looks that the seed decides."""
    rng = np.random.default_rng(seed)
    return np.stack([render(person, draw_look(rng, person.style)) for _ in range(count)])
