"""What a file's own header gives away, as a type. Apart from `types`, so that it needs no torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Finding", "Group", "Severity", "worst_first"]

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


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by severity; those of one severity in the order that they have."""
    return tuple(sorted(findings, key=lambda finding: get_args(Severity).index(finding.severity)))
