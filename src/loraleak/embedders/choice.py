"""The choice of the embedder that an audit uses."""

from collections.abc import Sequence
from dataclasses import dataclass

from loraleak.errors import MissingExtraError, UsageError
from loraleak.types import Picture

__all__ = ["Choice", "choose_embedder"]

_SURE = 0.8
"""YuNet's score from which a photo surely shows a face. Some soft toys score up to 0.82, sharp portraits above 0.9."""


@dataclass(frozen=True)
class Choice:
    """The name of an embedder, and one sentence that says why it was chosen."""

    name: str
    why: str


def choose_embedder(asked: str, base: str, photos: Sequence[Picture]) -> Choice:
    """Choose the embedder that was asked for.

    `auto` takes `pocket` on pocket, else `faces` if most photos show a face, else `general`.

    Raises: UsageError, if pocket's embedder is to judge another base, whose people it cannot tell apart; MissingExtraError, if it
    takes `faces` to choose, and that is not installed.
    """
    if asked == "pocket" and base != "pocket":
        raise UsageError(
            f"the embedder `pocket` knows pocket's drawn people only, and the base is {base!r}: "
            "give --embedder faces for people, --embedder general for things and styles, or --embedder auto"
        )
    if asked != "auto":
        return Choice(asked, f"The embedder is `{asked}`, as asked for.")
    if base == "pocket":
        return Choice("pocket", "The embedder is `pocket`, because the base is pocket.")
    count = _with_a_face(photos)
    name = "faces" if 2 * count > len(photos) else "general"
    return Choice(name, f"The embedder is `{name}`, because {count} of {len(photos)} photos clearly show a face.")


def _with_a_face(photos: Sequence[Picture]) -> int:
    from loraleak.embedders.faces import FacesEmbedder

    try:
        faces = FacesEmbedder.load()
    except MissingExtraError as error:
        raise MissingExtraError(
            "`--embedder auto` looks for faces in the photos, and the embedder `faces` is not installed: run "
            "pip install 'loraleak[faces]', or give --embedder general to compare pictures as a whole"
        ) from error
    return sum(any(face.score >= _SURE for face in faces.detect(photo)) for photo in photos)
