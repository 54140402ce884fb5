"""What a finding's group is called."""

from collections.abc import Mapping

from loraleak.findings import Group

__all__ = ["TITLES"]

TITLES: Mapping[Group, str] = {
    "people": "names of people, folders and triggers",
    "captions": "captions",
    "counts": "how many images and steps",
    "times": "when it was made",
    "seeds": "seeds",
    "paths": "where it was made: host paths and file names",
    "links": "links to other files",
    "software": "software and recipe",
    "other": "other fields",
}
