"""What the report's numbers are called where people read them, and hostile text made harmless to look at."""

import unicodedata
from collections.abc import Mapping

from loraleak.auditing.report import ArmResult, Level
from loraleak.types import Interval, Role

__all__ = ["HEADLINES", "LEADS", "ROLES", "excess_in_words", "in_brackets", "shown"]

HEADLINES: Mapping[Level, str] = {"low": "Nothing found", "review": "Look closer", "high": "This file leaks"}

LEADS: Mapping[Level, str] = {
    "low": "Nothing shows that the pictures strangers can make from this file look more like these photos than chance would.",
    "review": "There are signs that the pictures strangers can make from this file look like these photos.",
    "high": "Strangers who have only this file can make pictures that look like the person in these photos.",
}

ROLES: Mapping[Role, str] = {
    "floor": "floor: cannot leak",
    "control": "control",
    "attack": "attack",
    "ceiling": "ceiling: needs your prompt",
}


def in_brackets(interval: Interval) -> str:
    """`0.42 [0.37, 0.48]`."""
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def excess_in_words(arm: ArmResult) -> str:
    """The difference to the arm's control, or that none was shown; empty for an arm without control."""
    if arm.excess is None:
        return ""
    if arm.excess.low <= 0 <= arm.excess.high:
        return f"no difference shown to {arm.over}: {arm.excess.mean:+.2f} [{arm.excess.low:+.2f}, {arm.excess.high:+.2f}]"
    return f"{arm.excess.mean:+.2f} [{arm.excess.low:+.2f}, {arm.excess.high:+.2f}] over {arm.over}"


def shown(text: str, limit: int = 300) -> str:
    """Untrusted text with control and direction characters made visible, cut where it is long."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(c if unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in cut)
