"""`loraleak demo`: the main job on a bundled adapter, without network or GPU."""

from dataclasses import dataclass, replace
from pathlib import Path

from loraleak.assets import DEMO
from loraleak.auditing import AuditSettings
from loraleak.checks import SEEDS, out_of_bounds, refuse
from loraleak.cli.audit import ROOM, print_summary, write_report
from loraleak.cli.flags import Out

__all__ = ["Demo"]


@dataclass(frozen=True)
class Demo:
    """Audits a bundled adapter against its bundled private images (a synthetic person) on pocket."""

    out: Out = Path("demo")
    """Folder for report.html, report.json and model-card.md. An earlier demo in it is replaced."""
    json: bool = False
    """Print report.json on stdout instead of a summary."""
    seed: int = 0
    """Seed of the initial noise."""

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"seed": SEEDS}))

    def run(self) -> int:
        from loraleak.outputs import check_folder

        check_folder(self.out, "demo", overwrite=True, room=ROOM)
        from loraleak.auditing import audit

        settings = replace(AuditSettings(), seed=self.seed, prompt=(DEMO / "prompt.txt").read_text("utf-8").strip())
        report = audit(DEMO / "adapter.safetensors", DEMO / "photos", settings, quiet=False)
        write_report(report, self.out, "demo", overwrite=True)
        print_summary(report, self.out, as_json=self.json)
        return 0
