"""Inspections as SARIF 2.1.0 (OASIS), the format that code hosts show findings from."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loraleak.inspection.groups import TITLES
from loraleak.inspection.inspect import Inspection
from loraleak.types import Finding, Severity

__all__ = ["as_sarif"]

_LEVELS: Mapping[Severity, str] = {"critical": "error", "high": "warning", "medium": "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(inspections: Iterable[tuple[Inspection, Path]]) -> dict[str, Any]:
    """One run for each file, with one result for each finding and one rule for each group of them.

    Text from the file is escaped twice: control characters, as everywhere, and the brackets that SARIF makes links of (section 3.11.6).
    """
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(inspection, file) for inspection, file in inspections]}


def _run(inspection: Inspection, file: Path) -> dict[str, Any]:
    groups = list(dict.fromkeys(finding.group for finding in inspection.findings))
    rules = [
        {
            "id": f"metadata/{group}",
            "name": group.capitalize(),
            "shortDescription": {"text": f"The file gives away {TITLES[group]}."},
        }
        for group in groups
    ]
    location = {"artifactLocation": {"uri": quote(file.as_posix(), safe="/", errors="surrogateescape")}}
    results = [
        {
            "ruleId": f"metadata/{finding.group}",
            "ruleIndex": groups.index(finding.group),
            "level": _LEVELS[finding.severity],
            "message": {"text": _inert(f"{finding.field}: {finding.says}")},
            "locations": [{"physicalLocation": location, "logicalLocations": [{"fullyQualifiedName": finding.field}]}],
            "partialFingerprints": {"field/v1": finding.field},
            "properties": _properties(finding),
        }
        for finding in inspection.findings
    ]
    return {
        "tool": {"driver": {"name": "loraleak", "version": version("loraleak"), "rules": rules}},
        "artifacts": [{"location": location["artifactLocation"], "hashes": {"sha-256": inspection.sha256}}],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": f"loraleak-inspect/{location['artifactLocation']['uri']}"},
    }


def _inert(text: str) -> str:
    return re.sub(r"([\\\[\]])", r"\\\1", text)


def _properties(finding: Finding) -> dict[str, Any]:
    return {"severity": finding.severity, "group": finding.group}
