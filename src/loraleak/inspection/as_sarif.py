"""Inspections as SARIF 2.1.0 (OASIS), the format that code hosts show findings from."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loraleak.findings import Finding, Group, Severity
from loraleak.inspection.groups import TITLES
from loraleak.inspection.inspect import Inspection
from loraleak.silence import HEADER_ONLY
from loraleak.version import __version__

__all__ = ["as_sarif"]

_LEVELS: Mapping[Severity, str] = {"critical": "error", "high": "warning", "medium": "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(inspections: Iterable[tuple[Inspection, Path]]) -> dict[str, Any]:
    """One run over all files, with one result for each finding and one rule for each group of them.

    Code hosts close what a later run of the same category no longer finds, so the category is the same whatever files there are.
    Text from the file is escaped twice: control characters, as everywhere, and the brackets that SARIF makes links of (section 3.11.6).
    """
    files = [
        (inspection, {"uri": quote(file.as_posix(), safe="/", errors="surrogateescape")}) for inspection, file in inspections
    ]
    groups = list(dict.fromkeys(finding.group for inspection, _ in files for finding in inspection.findings))
    rules = [
        {
            "id": f"metadata/{group}",
            "name": group.capitalize(),
            "shortDescription": {"text": f"The file gives away {TITLES[group]}."},
        }
        for group in groups
    ]
    driver = {
        "name": "loraleak",
        "version": __version__,
        "fullDescription": {"text": f"What the headers of LoRA files give away. {_inert(HEADER_ONLY)}"},
        "rules": rules,
    }
    run = {
        "tool": {"driver": driver},
        "artifacts": [{"location": place, "hashes": {"sha-256": inspection.sha256}} for inspection, place in files],
        "results": [_result(finding, place, groups) for inspection, place in files for finding in inspection.findings],
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": "loraleak-inspect/"},
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, place: dict[str, str], groups: list[Group]) -> dict[str, Any]:
    location = {
        "physicalLocation": {"artifactLocation": place},
        "logicalLocations": [{"fullyQualifiedName": finding.field}],
    }
    return {
        "ruleId": f"metadata/{finding.group}",
        "ruleIndex": groups.index(finding.group),
        "level": _LEVELS[finding.severity],
        "message": {"text": _inert(f"{finding.field}: {finding.says}")},
        "locations": [location],
        "partialFingerprints": {"field/v1": finding.field},
        "properties": {"severity": finding.severity, "group": finding.group},
    }


def _inert(text: str) -> str:
    return re.sub(r"([\\\[\]])", r"\\\1", text)
