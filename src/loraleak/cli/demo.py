"""`loraleak demo`: the main job on a bundled adapter, without network or GPU."""

from dataclasses import dataclass, replace
from pathlib import Path

from loraleak.assets import DEMO
from loraleak.auditing import AuditSettings
from loraleak.cli.audit import print_summary
from loraleak.cli.flags import Out

__all__ = ["Demo"]


@dataclass(frozen=True)
class Demo:
    """Audits a bundled adapter against its bundled private images (a synthetic person) on pocket."""

    out: Out = Path("demo")
    """Folder for report.html, report.json and model-card.md."""
    json: bool = False
    """Print report.json on stdout instead of a summary."""
    seed: int = 0
    """Seed of the initial noise."""

    def run(self) -> int:
        from loraleak.auditing import audit

        settings = replace(AuditSettings(), seed=self.seed, prompt=(DEMO / "prompt.txt").read_text("utf-8").strip())
        report = audit(DEMO / "adapter.safetensors", DEMO / "photos", settings, quiet=False)
        report.write(self.out)
        print_summary(report, self.out, as_json=self.json)
        return 0
