"""People. In: a split and a seed. Out: synthetic identities, their pictures, captions and traits; folders of pictures.

Reading order: `names` (splits and styles), `styles` (what a drawing style can draw), `avatars` (one person, one look, one
picture), `captions` (words for it), `splits` (who is in which split), `writing` (their folders), `photos` (one photo file),
`folders` (photo folders as people have them), `identities` (one type for drawn people and folders), `split_file` (who is in
which part of a folder), `descriptions` (people in words), `drawn_by_base` (people whom a base draws of
such words). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.people.avatars import Look as Look
    from loraleak.people.avatars import Person as Person
    from loraleak.people.avatars import draw_look as draw_look
    from loraleak.people.avatars import render as render
    from loraleak.people.captions import CLASS_PROMPT as CLASS_PROMPT
    from loraleak.people.captions import caption as caption
    from loraleak.people.captions import varied_caption as varied_caption
    from loraleak.people.descriptions import Described as Described
    from loraleak.people.descriptions import described_avatars as described_avatars
    from loraleak.people.descriptions import described_people as described_people
    from loraleak.people.drawn_by_base import drawn_by as drawn_by
    from loraleak.people.drawn_by_base import estimate_of_drawing as estimate_of_drawing
    from loraleak.people.folders import PhotoFolder as PhotoFolder
    from loraleak.people.folders import identity_folders as identity_folders
    from loraleak.people.folders import list_photos as list_photos
    from loraleak.people.folders import read_captions as read_captions
    from loraleak.people.folders import read_photos as read_photos
    from loraleak.people.folders import stray_images as stray_images
    from loraleak.people.identities import Identity as Identity
    from loraleak.people.identities import identities_in as identities_in
    from loraleak.people.identities import pictures as pictures
    from loraleak.people.names import SPLITS as SPLITS
    from loraleak.people.names import TRAINING_STYLES as TRAINING_STYLES
    from loraleak.people.names import Split as Split
    from loraleak.people.names import StyleName as StyleName
    from loraleak.people.photos import PhotoFile as PhotoFile
    from loraleak.people.split_file import PeopleSplit as PeopleSplit
    from loraleak.people.split_file import in_part as in_part
    from loraleak.people.split_file import read_split as read_split
    from loraleak.people.split_file import split_people as split_people
    from loraleak.people.split_file import write_split as write_split
    from loraleak.people.splits import draw_people as draw_people
    from loraleak.people.splits import split_of as split_of
    from loraleak.people.writing import write_people as write_people

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "avatars": ["Look", "Person", "draw_look", "render"],
        "captions": ["CLASS_PROMPT", "caption", "varied_caption"],
        "descriptions": ["Described", "described_avatars", "described_people"],
        "drawn_by_base": ["drawn_by", "estimate_of_drawing"],
        "folders": ["PhotoFolder", "identity_folders", "list_photos", "read_captions", "read_photos", "stray_images"],
        "identities": ["Identity", "identities_in", "pictures"],
        "names": ["SPLITS", "Split", "StyleName", "TRAINING_STYLES"],
        "photos": ["PhotoFile"],
        "split_file": ["PeopleSplit", "in_part", "read_split", "split_people", "write_split"],
        "splits": ["draw_people", "split_of"],
        "writing": ["write_people"],
    },
)
