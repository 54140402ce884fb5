"""Results as pieces of HTML. All text from files and from people is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from loraleak.families import titles
from loraleak.silence import HEADER_ONLY
from loraleak.web.running import Cancelled, Done, Event, Failed, Going

if TYPE_CHECKING:
    from loraleak.inspection import Inspection

__all__ = ["NOTHING", "fault", "frame", "inspected", "links", "progress"]

NOTHING = ""
_MAX_FINDINGS = 40


def inspected(inspection: "Inspection") -> str:
    """Facts of a file and what its header gives away."""
    environment = Environment(
        loader=PackageLoader("loraleak.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("inspected.html.j2").render(
        it=inspection,
        base=titles(inspection.families),
        findings=inspection.findings[:_MAX_FINDINGS],
        more=max(0, len(inspection.findings) - _MAX_FINDINGS),
        header_only=HEADER_ONLY,
    )


def progress(event: Event, written: Sequence[Path] = ()) -> str:
    """A bar with words, or how the audit ended. `written` are files to download."""
    match event:
        case Going(says, share):
            value = "" if share is None else f' value="{share:.3f}"'
            return (
                f'<div class="going"><label for="bar">{escape(says)}</label><progress id="bar" max="1"{value}></progress></div>'
            )
        case Failed(says):
            return fault(says)
        case Cancelled():
            return '<p class="going" role="status">The audit was cancelled.</p>'
        case Done():
            return (
                '<p class="going" role="status">The audit is done. The report is below. '
                f"To keep it, download {links(written)}.</p>"
            )


def links(files: Sequence[Path]) -> str:
    """Links that download files of a visit."""
    return ", ".join(
        f'<a href="gradio_api/file={quote(str(file))}" download="{escape(file.name)}">{escape(file.name)}</a>' for file in files
    )


def fault(says: str) -> str:
    """One line that says what is wrong."""
    return f'<p class="fault" role="alert">{escape(says)}</p>'


def frame(page: str, title: str) -> str:
    """A whole page within the page. It may run nothing, and it reaches nothing of the page around it."""
    return f'<iframe class="report" title="{escape(title)}" sandbox="" srcdoc="{escape(page)}"></iframe>'
