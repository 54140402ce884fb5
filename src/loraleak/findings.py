"""What a file's own header gives away, as a type. Apart from `types`, so that it needs no torch."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Group", "Severity"]

Severity = Literal["critical", "high", "medium"]
Group = Literal["people", "captions", "counts", "times", "seeds", "paths", "links", "software", "other"]
"""Kind of thing that a field gives away: people's names, captions, counts of images, times, seeds, folders, links, ..."""


@dataclass(frozen=True)
class Finding:
    """Something that a file's own header gives away."""

    field: str
    severity: Severity
    says: str
    group: Group = "other"
