"""Words for the report's numbers, and hostile text made harmless to look at."""

import shlex
import unicodedata
from collections.abc import Mapping

from loraleak.defences import Trial
from loraleak.reporting.results import LEAK_KEPT, USE_KEPT, ArmResult, AuditResult, DefenceStudy, Level, Verdict
from loraleak.silence import NO_LEAK_MEASURED
from loraleak.types import ArmRole, Interval

__all__ = [
    "ANSWERS",
    "HEADLINES",
    "ROLES",
    "chance_in_words",
    "conclusion",
    "excess_in_words",
    "in_brackets",
    "percent",
    "resolution_in_words",
    "scrub_command",
    "shown",
    "trial_in_words",
]

HEADLINES: Mapping[Level, str] = {
    "low": "Nothing found",
    "undecided": "Not decided",
    "review": "Look closer",
    "high": "This file leaks",
}

ANSWERS: Mapping[Level, str] = {
    "low": "We found no sign that strangers can make pictures of this person from your file.",
    "undecided": "This audit cannot tell whether strangers can make pictures of this person from your file.",
    "review": "Strangers may be able to make pictures of this person from your file.",
    "high": "Strangers can make pictures of this person from your file.",
}

ROLES: Mapping[ArmRole, str] = {
    "floor": "floor: cannot leak",
    "control": "control",
    "attack": "attack",
    "ceiling": "ceiling: needs your prompt",
}


def in_brackets(interval: Interval) -> str:
    """An interval as text: `0.42 [0.37, 0.48]`."""
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def excess_in_words(arm: ArmResult) -> str:
    """The difference to the arm's control, or a remark that none was shown; empty for an arm without control."""
    if arm.excess is None:
        return ""
    if arm.excess.low <= 0 <= arm.excess.high:
        return f"no difference shown to {arm.over}: {arm.excess.mean:+.2f} [{arm.excess.low:+.2f}, {arm.excess.high:+.2f}]"
    return f"{arm.excess.mean:+.2f} [{arm.excess.low:+.2f}, {arm.excess.high:+.2f}] over {arm.over}"


def resolution_in_words(verdict: Verdict) -> str:
    """The smallest p that was possible, and the result of each test where there are several."""
    finest = f"It could not have been below {verdict.smallest_p:.2g}."
    if len(verdict.tests) < 2:
        return finest
    each = ", ".join(f"{test.p_value:.2g}" for test in verdict.tests)
    return f"The {len(verdict.tests)} comparisons gave {each}; the least counts, times {len(verdict.tests)}. {finest}"


def chance_in_words(probability: float) -> str:
    """A chance in percent, never as certain as 0% or 100%."""
    if probability < 0.01:
        return "below 1%"
    return "above 99%" if probability > 0.99 else percent(probability)


def percent(share: float | None) -> str:
    """A share as text, such as `93%`; a dash for None."""
    return "–" if share is None else f"{100 * share:.0f}%"


def trial_in_words(trial: Trial | None) -> str:
    """The known result of an attack that was trained against a defence; empty for None."""
    match trial:
        case "fell":
            return "A stranger who trains an attack against it sees more than is shown here, so it is not recommended."
        case "undone":
            return "A stranger takes it back by running the file at a higher strength, so it is not recommended."
        case "held":
            return "An attack that was trained against it saw no more, over 50 people. A better one may."
        case "untried":
            return "No attack was trained against it yet: one that is may see more."
        case None:
            return ""


def conclusion(study: DefenceStudy) -> str:
    """The conclusion that the owner may draw from the study."""
    most, least, count = percent(LEAK_KEPT), percent(USE_KEPT), len(study.tried)
    if study.recommended is not None:
        chosen = study.tried[study.recommended]
        return (
            f"Of {count} settings, {chosen.defence} leaves the least of the leak among those that keep {least} of the use: "
            f"{percent(chosen.leak_kept)} of the leak and {percent(chosen.use_kept)} of the use stay. The best of many looks better "
            f"than it is, and the rest still leaks: audit what it makes before you share it. {trial_in_words(chosen.trial)}"
        )
    if study.undefended.leak_kept is None:
        return NO_LEAK_MEASURED
    if study.undefended.use is None:
        return "Without your own prompt (--prompt) nobody can tell what a defence costs you, so none is recommended."
    if study.undefended.use_kept is None:
        return "Your own prompt shows no more of the person than the base model does: there is no use to keep, so none is recommended."
    fell = [result for result in study.tried if result.worth_its_price and result.seen_through]
    if fell:
        least_leak = min(fell, key=lambda result: result.leak.excess.mean)
        how = (
            "who trains an attack against it sees more" if least_leak.trial == "fell" else "runs the file at a higher strength"
        )
        return (
            f"{least_leak.defence} leaves {percent(least_leak.leak_kept)} of the leak to the attacks shown here and keeps "
            f"{percent(least_leak.use_kept)} of the use. But a stranger {how}, so none is "
            "recommended: fine-tune again with a defence, or do not share the file."
        )
    useful = [result for result in study.tried if result.use_kept is not None and result.use_kept >= USE_KEPT]
    nearest = min(useful, key=lambda result: result.leak.excess.mean, default=None)
    best = (
        ""
        if nearest is None
        else f" The best that keeps it, {nearest.defence}, leaves {percent(nearest.leak_kept)} of the leak."
    )
    return (
        f"None of {count} settings leaves {most} of the leak or less and keeps {least} of the use.{best} With this file the choice is "
        "between privacy and use: fine-tune again with a defence, or do not share it."
    )


def scrub_command(report: AuditResult) -> str:
    """The command that applies the recommended defence and removes private metadata; empty where none is recommended."""
    study = report.defences
    if study is None or study.recommended is None:
        return ""
    best = study.tried[study.recommended]
    name = report.adapter_path
    words = [
        "loraleak",
        "scrub",
        name,
        "-o",
        f"{name.removesuffix('.safetensors')}-defended.safetensors",
        "--defence",
        best.defence,
    ]
    return shlex.join([*words, *(["--base", report.base] if best.needs_base else [])])


def shown(text: str, limit: int = 300) -> str:
    """Untrusted text with control and direction characters made visible, cut where it is long."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(c if unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in cut)
