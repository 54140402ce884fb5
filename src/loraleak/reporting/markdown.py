"""The report as a snippet for a model card."""

import re
from collections import Counter

from loraleak.reporting.first_screen import evidence_in_words
from loraleak.reporting.results import AuditResult
from loraleak.reporting.words import HEADLINES, conclusion, excess_in_words, in_brackets, percent, resolution_in_words, shown
from loraleak.silence import LOW_IS_NO_PROOF

__all__ = ["to_markdown"]


def to_markdown(report: AuditResult) -> str:
    """A heading, the verdict and a table of arms. Text from files cannot become markup."""
    verdict = report.verdict
    reasons = [f"- {_plain(reason)}" for reason in verdict.reasons]
    rows = [
        f"| {_plain(arm.name)} | {arm.role} | {in_brackets(arm.similarity)} | {_plain(excess_in_words(arm)) or '–'} |"
        for arm in report.arms
    ]
    lines = [
        "## Privacy audit",
        "",
        f"**{HEADLINES[verdict.level]}** (level: {verdict.level}, p = {verdict.p_value:.2g} against {_plain(verdict.null)}). "
        f"{_plain(resolution_in_words(verdict))}",
        "",
        *([evidence, ""] if (evidence := evidence_in_words(report)) else []),
        *reasons,
        *(f"- {_plain(control.says)}" for control in verdict.positive_controls),
        *([f"- {_plain(verdict.missing)}"] if verdict.missing else []),
        "",
        "| arm | role | cosine to the training photos | excess |",
        "|---|---|---|---|",
        *rows,
        "",
        *_defences(report),
        f"Audited with loraleak {_plain(report.version)} on {report.created[:10]}, base {_plain(report.base)}, "
        f"{len(report.photos)} photos, seed {report.seed}; adapter SHA-256 `{report.adapter_sha256}`.",
        *_header(report),
        f"Intervals are 95% over pictures. {LOW_IS_NO_PROOF}",
    ]
    return "\n".join(lines) + "\n"


def _defences(report: AuditResult) -> list[str]:
    """Lines on the defences that were tried."""
    if report.defences is None:
        return []
    study = report.defences
    rows = [
        f"| {_plain(result.defence or result.name)} | {in_brackets(result.leak.excess)} ({percent(result.leak_kept)}) | "
        f"{'–' if result.use is None else f'{in_brackets(result.use.excess)} ({percent(result.use_kept)})'} | "
        f"{result.trial or ''} |"
        for result in (study.undefended, *study.tried)
    ]
    return [
        f"| defence | leak: excess of the best attack over {_plain(study.over)} | use: excess of the owner's prompt "
        "| to an attack trained against it |",
        "|---|---|---|---|",
        *rows,
        "",
        _plain(conclusion(study)),
        "",
    ]


def _header(report: AuditResult) -> list[str]:
    """Count of the fields that give something away. A public card repeats neither their names nor their values."""
    if not report.metadata:
        return []
    counts = Counter(finding.severity for finding in report.metadata)
    by_severity = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    return [f"Fields in the file's header that give something away: {by_severity}."]


def _plain(text: str) -> str:
    """One line of text that Markdown and HTML leave as it is. It has character references: backslashes fail in some
    dialects."""
    one_line = " ".join(shown(text).split())
    return re.sub(r"[&<>\\`*_\[\]#!|~$@]|:(?=//)|(?<=www)\.", lambda match: f"&#{ord(match[0])};", one_line)
