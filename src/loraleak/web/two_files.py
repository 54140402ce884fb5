"""Two LoRA files side by side, as HTML: what their headers tell, and whether their tensors are the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from loraleak.adapters.clean_copy import Fingerprint, fingerprints
from loraleak.adapters.opening import Opened, open_adapter
from loraleak.families import titles
from loraleak.findings import Finding, worst_first
from loraleak.untrusted import printable
from loraleak.web.inspected import templates

__all__ = ["side_by_side"]

_MAX_ROWS = 60


@dataclass(frozen=True)
class Row:
    """One thing that both files may have, in words; empty where one has it not."""

    name: str
    before: str
    after: str

    @property
    def same(self) -> bool:
        return self.before == self.after


def side_by_side(before: Path, after: Path) -> str:
    """What two files tell, row by row. Raises: AdapterError, if one of them cannot be used."""
    first, second = open_adapter(before), open_adapter(after)
    facts = zip_longest(_facts(first), _facts(second), fillvalue=("", ""))
    rows = [Row(left[0] or right[0], left[1], right[1]) for left, right in facts]
    findings = _findings(first.findings, second.findings)
    return (
        templates()
        .get_template("two_files.html.j2")
        .render(
            names=[printable(file.name, 80) for file in (before, after)],
            rows=rows,
            tensors=_tensors(fingerprints(first.container), fingerprints(second.container)),
            findings=findings[:_MAX_ROWS],
            more=max(0, len(findings) - _MAX_ROWS),
        )
    )


def _facts(opened: Opened) -> list[tuple[str, str]]:
    layers = sum(len(module.layer.targets) for module in opened.contents.modules.values())
    low, high = opened.ranks or (0, 0)
    return [
        ("layout", opened.format or "no LoRA that we know"),
        ("base", titles(opened.contents.families) or "not known"),
        ("rank", f"{low}" if low == high else f"{low} to {high}"),
        ("modules", f"{layers}"),
        ("bytes", f"{opened.file.stat().st_size:,}"),
        ("fields in the header", f"{len(opened.container.metadata)}"),
        ("SHA-256", opened.container.sha256[:16]),
    ]


def _findings(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> list[tuple[Finding, Row]]:
    """Everything that one of the files gives away, the worst first."""
    first, second = ({finding.field: finding for finding in findings} for findings in (before, after))
    both = worst_first((second | first).values())
    said = [{name: finding.says for name, finding in findings.items()} for findings in (first, second)]
    return [(one, Row(one.field, said[0].get(one.field, ""), said[1].get(one.field, ""))) for one in both]


def _tensors(before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint]) -> str:
    if before == after:
        return f"Both files hold the same {len(before)} tensors, bit by bit."
    common = before.keys() & after.keys()
    changed = sum(before[name] != after[name] for name in common)
    alone = [f"{len(held.keys() - common)} only in the {word}" for word, held in (("first", before), ("second", after))]
    return f"Of the tensors, {len(common) - changed} are the same bit by bit, {changed} differ, {' and '.join(alone)}."
