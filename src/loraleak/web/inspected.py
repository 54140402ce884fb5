"""What a file itself tells, as HTML. All text from files is escaped. It needs no numpy, because a page without a server has none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loraleak.errors import LoraleakError
from loraleak.families import titles
from loraleak.findings import Finding
from loraleak.silence import HEADER_ONLY, WEIGHTS_REMAIN

__all__ = ["Told", "cleaned", "fault", "inspected", "one_line", "templates"]

_MAX_FINDINGS = 40


@dataclass(frozen=True)
class Told:
    """What is shown of a file."""

    layout: str
    families: tuple[str, ...]
    ranks: tuple[int, int] | None
    modules: int
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()


def templates() -> Environment:
    """The templates of this room."""
    return Environment(
        loader=PackageLoader("loraleak.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def inspected(told: Told) -> str:
    """Facts of a file and what its header gives away."""
    return (
        templates()
        .get_template("inspected.html.j2")
        .render(
            it=told,
            base=titles(told.families),
            findings=told.findings[:_MAX_FINDINGS],
            more=max(0, len(told.findings) - _MAX_FINDINGS),
            header_only=_with_code(HEADER_ONLY),
        )
    )


def cleaned(removed: int, kept: int, remarks: Sequence[str]) -> str:
    """What a clean copy lost, and what it still tells."""
    sentences = [f"Removed {removed} fields and kept {kept}.", *(f"{remark}." for remark in remarks), WEIGHTS_REMAIN]
    return _with_code(" ".join(sentences))


def fault(says: str) -> str:
    """One line that says what is wrong."""
    return f'<p class="fault" role="alert">{escape(says)}</p>'


def one_line(error: LoraleakError) -> str:
    """The error without the folder that holds the file."""
    text = str(error)
    return text if error.path is None else text.replace(str(error.path), Path(error.path).name)


def _with_code(text: str) -> Markup:
    """Escaped text, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))
