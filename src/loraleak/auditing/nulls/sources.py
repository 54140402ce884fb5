"""Sources of other people: a folder of the user's, the controls of the base, or the base itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.scoring import embed_pictures
from loraleak.embedders import Embedder
from loraleak.errors import PhotosError
from loraleak.kits import Controls, Kit
from loraleak.people import PhotoFile, identity_folders, read_photos
from loraleak.scores import recurring
from loraleak.types import Embeddings, Images

__all__ = ["people_drawn", "people_in", "people_of", "people_of_kit"]


def people_of(controls: Controls) -> OtherPeople:
    """The people whose photos come with the controls of a base."""
    return OtherPeople(tuple(controls.people), "people who come with this base's controls")


def people_of_kit(kit: Kit) -> OtherPeople:
    """The people who come with a kit of another checkpoint."""
    return OtherPeople(tuple(kit.people), "people who come with the kit")


def people_drawn(pictures: Images, embedder: Embedder) -> OtherPeople:
    """The people in pictures that the base drew, one picture for each. A picture that shows nobody is no person."""
    people = tuple(vectors[:1] for vectors in embed_pictures(embedder, pictures) if len(vectors))
    return OtherPeople(people, "people whom the base itself draws, one picture each")


def people_in(folder: Path, embedder: Embedder, owner: Sequence[PhotoFile]) -> OtherPeople:
    """The people in a folder. Each sub-folder is one person, and so is each photo in the folder itself.

    Those on whose photos nobody is found are left out.

    Raises: PhotosError, if the folder cannot be read, or if a photo of the owner is among these.
    """
    own = {photo.sha256 for photo in owner}
    people: list[Embeddings] = []
    for name, photos in _identities(folder):
        double = next((photo for photo in photos if photo.sha256 in own), None)
        if double is not None:
            raise PhotosError(
                f"{double.name} of {name} in --others is one of the owner's own photos: leave this person out of the other people"
            )
        sightings = embed_pictures(embedder, [photo.picture for photo in photos])
        if sightings.counts.any():
            people.append(recurring(sightings, embedder.same_person).person.vectors)
    return OtherPeople(tuple(people), f"people in {folder.name}")


def _identities(folder: Path) -> Iterator[tuple[str, Sequence[PhotoFile]]]:
    for home in identity_folders(folder):
        photos = read_photos(home, whole=True)
        if home == folder:
            yield from ((photo.name, [photo]) for photo in photos if "/" not in photo.name)
        else:
            yield home.name, photos
