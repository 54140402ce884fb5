"""`loraleak audit`: the main job."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tyro.conf import Positional

from loraleak.auditing import AuditSettings
from loraleak.cli.flags import Out
from loraleak.silence import FOUND_NOTHING
from loraleak.untrusted import printable

if TYPE_CHECKING:
    from loraleak.reporting import Report

__all__ = ["ROOM", "Audit", "print_summary", "write_report"]

ROOM = 20 * 10**6
"""Bytes that a report takes at most, about."""


@dataclass(frozen=True)
class Audit:
    """Writes a report on what an adapter gives away about the photos that it was trained on."""

    after_interrupt: ClassVar[str] = "no report was written; the same command starts anew"

    file: Positional[Path]
    """The adapter: a .safetensors file, or a PEFT folder."""
    photos: Path
    """Folder with the images that the adapter was trained on."""
    out: Out = Path("report")
    """Folder for report.html, report.json and model-card.md."""
    fail_on: Literal["low", "review", "high", "never"] = "high"
    """Exit with 1 if the verdict is at or above this level. An undecided verdict counts as `review`."""
    overwrite: bool = False
    """Replace the earlier report in that folder."""
    json: bool = False
    """Print report.json on stdout instead of a summary."""
    settings: AuditSettings = field(default_factory=AuditSettings)

    def run(self) -> int:
        from loraleak.adapters import open_loadable
        from loraleak.outputs import check_folder

        check_folder(self.out, "audit", overwrite=self.overwrite, room=ROOM)
        open_loadable(self.file)  # before the heavy imports
        from loraleak.auditing import audit

        report = audit(self.file, self.photos, self.settings, quiet=False)
        write_report(report, self.out, "audit", overwrite=self.overwrite)
        print_summary(report, self.out, as_json=self.json)
        return int(report.verdict.reaches(self.fail_on))


def write_report(report: "Report", out: Path, command: str, *, overwrite: bool) -> None:
    """Write a report as one run's folder, or where that fails, to a place that the error names."""
    from loraleak.outputs import run_folder, save

    def write(place: Path) -> None:
        with run_folder(place, command, overwrite=overwrite) as partial:
            report.write(partial)

    save(out, write)


def print_summary(report: "Report", out: Path, *, as_json: bool) -> None:
    """Print the verdict and the arms on stdout."""
    if as_json:
        print(json.dumps(report.to_json()))
        return
    verdict = report.verdict
    print(f"verdict: {verdict.level} (p = {verdict.p_value:.3f})")
    from loraleak.reporting import evidence_in_words

    if evidence := evidence_in_words(report):
        print(f"  {evidence}")
    if verdict.missing:
        print(f"  {verdict.missing}")
    for reason in verdict.reasons:
        print(f"  {reason}")
    for control in verdict.positive_controls:
        print(f"  {control.says}")
    if verdict.level == "low":
        print(f"  {FOUND_NOTHING}")
    wide = 2 + max(len(arm.name) for arm in report.arms)
    print(f"{'arm':<{wide}}{'role':<10}{'similarity':>12}{'excess':>10}")
    for arm in report.arms:
        excess = "" if arm.excess is None else f"{arm.excess.mean:+.2f}"
        print(f"{arm.name:<{wide}}{arm.role:<10}{arm.similarity.mean:>12.2f}{excess:>10}")
    if report.defences is not None:
        _print_defences(report)
    print(f"report: {printable(str(out / 'report.html'), 4096)}")


def _print_defences(report: "Report") -> None:
    from loraleak.reporting import conclusion, percent, scrub_command, shown

    study = report.defences
    assert study is not None
    print(f"{'defence':<40}{'leak':>6}{'kept':>6}{'use':>8}{'kept':>6}")
    for result in (study.undefended, *study.tried):
        use = "" if result.use is None else f"{result.use.excess.mean:.2f}"
        leak, left, kept = result.leak.excess.mean, percent(result.leak_kept), percent(result.use_kept)
        print(f"{result.defence or result.name:<40}{leak:>6.2f}{left:>6}{use:>8}{kept:>6}")
    print(conclusion(study))
    if command := scrub_command(report):
        print(f"  {shown(command, 600)}")
