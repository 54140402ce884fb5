"""Results as pieces of HTML. All text from files and from people is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from loraleak.web.inspected import fault
from loraleak.web.running import Cancelled, Done, Failed, Going, Made

__all__ = ["NOTHING", "frame", "links", "pictures", "progress"]

NOTHING = ""


_ROLES = {"attack": "from your file", "control": "a control", "floor": "the base model alone", "ceiling": "with your prompt"}


def pictures(made: Sequence[Made]) -> str:
    """Pictures of an audit that still runs, the newest arm first."""
    rows = (
        f"<figure><figcaption><b>{escape(one.arm)}</b> {_ROLES[one.role]}</figcaption>"
        + "".join(
            f'<img src="{escape(picture)}" alt="picture {i + 1} of {escape(one.arm)}">'
            for i, picture in enumerate(one.pictures)
        )
        + "</figure>"
        for one in reversed(made)
    )
    title = "Pictures so far. The report will tell whom they show." if made else ""
    return f'<div class="so-far"><p>{title}</p>{"".join(rows)}</div>' if made else NOTHING


def progress(event: Going | Done | Failed | Cancelled, written: Sequence[Path] = ()) -> str:
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


def frame(page: str, title: str) -> str:
    """A whole page within the page. It may run nothing, and it reaches nothing of the page around it."""
    return f'<iframe class="report" title="{escape(title)}" sandbox="" srcdoc="{escape(page)}"></iframe>'
