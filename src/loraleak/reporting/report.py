"""The report: the results of an audit, and the three forms in which they are written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loraleak.files import write_json, write_text
from loraleak.reporting import as_json, html, markdown
from loraleak.reporting.results import AuditResult

__all__ = ["Report"]


@dataclass(frozen=True)
class Report(AuditResult):
    """The result of an audit, with methods that write it."""

    def to_html(self) -> str:
        """One self-contained page."""
        return html.to_html(self)

    def to_json(self) -> dict[str, Any]:
        """Plain data in the schema `loraleak.report/1`."""
        return as_json.to_json(self)

    def to_markdown(self) -> str:
        """A snippet for a model card."""
        return markdown.to_markdown(self)

    def write(self, folder: Path) -> None:
        """Write `report.html`, `report.json` and `model-card.md` into a folder."""
        write_text(folder / "report.html", self.to_html())
        write_json(folder / "report.json", self.to_json())
        write_text(folder / "model-card.md", self.to_markdown())
