"""Two reports side by side, such as before and after a defence: what changed, and whether the two can be compared at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from loraleak.errors import UsageError
from loraleak.reporting.as_json import SCHEMA
from loraleak.reporting.results import LEVELS, Level
from loraleak.reporting.words import HEADLINES, in_brackets, shown
from loraleak.types import ArmRole, Interval

__all__ = ["ComparedArm", "Comparison", "Told", "ToldArm", "compare", "read_report"]

_MAX_BYTES = 64 * 2**20
_SAME_SETTINGS = ("class_prompt", "prompt", "images", "steps", "guidance_scale", "embedder_version", "attack_sha256", "seed")


@dataclass(frozen=True)
class ToldArm:
    """What a report tells about one arm."""

    name: str
    role: ArmRole
    similarity: Interval
    images: int
    hits: int | None
    """Number of recognised pictures; None where there was nobody to compare with."""


@dataclass(frozen=True)
class Told:
    """What a report.json tells, as far as a comparison needs it. Its texts are untrusted."""

    adapter: str
    level: Level
    p_value: float
    arms: tuple[ToldArm, ...]
    findings: int
    """Number of findings in the file's header."""
    base_sha256: str
    photos: tuple[str, ...]
    """SHA-256 of each photo, sorted."""
    settings: Mapping[str, Any]

    def best(self, *roles: ArmRole) -> ToldArm | None:
        """The arm of these roles that comes farthest."""
        arms = [arm for arm in self.arms if arm.role in roles]
        return max(arms, key=lambda arm: (arm.hits or 0, arm.similarity.mean), default=None)


@dataclass(frozen=True)
class ComparedArm:
    """One arm in both reports; None where a report has no such arm."""

    name: str
    role: ArmRole
    before: ToldArm | None
    after: ToldArm | None


@dataclass(frozen=True)
class Comparison:
    """Two reports, and what changed between them."""

    before: Told
    after: Told
    arms: tuple[ComparedArm, ...]
    doubts: tuple[str, ...]
    """Reasons why the numbers of the two cannot be compared; empty where they can."""

    @property
    def answer(self) -> str:
        """The change in one sentence."""
        before, after = self.before.level, self.after.level
        if "undecided" in (before, after):
            return f"The level was {before} and is {after}. An undecided level says nothing for or against a file."
        if before == after:
            return f"The level is {after} for both files."
        change = "less" if LEVELS.index(after) < LEVELS.index(before) else "more"
        return f"The second file gives {change} away: the level was {before} and is {after}."

    @property
    def evidence(self) -> tuple[str, ...]:
        """Counts of recognised pictures, of a stranger and of the owner."""
        sides = (("Best attempt of a stranger", "attack"), ("Your own prompt", "ceiling"))
        sentences = []
        for who, role in sides:
            before, after = (told.best(cast(ArmRole, role)) for told in (self.before, self.after))
            if before is not None and after is not None:
                counted = before.hits is not None and after.hits is not None
                tell = _reach if counted else _cosine
                sentences.append(f"{who}: {tell(before)} before, {tell(after)} after.")
        return tuple(sentences)

    def to_json(self) -> dict[str, Any]:
        """Plain data in the schema `loraleak.compare/1`."""
        return {
            "schema": "loraleak.compare/1",
            "answer": self.answer,
            "evidence": list(self.evidence),
            "doubts": list(self.doubts),
            "level": {"before": self.before.level, "after": self.after.level},
            "p_value": {"before": self.before.p_value, "after": self.after.p_value},
            "arms": {
                arm.name: {"role": arm.role, "before": _plain(arm.before), "after": _plain(arm.after)} for arm in self.arms
            },
        }

    def to_html(self) -> str:
        """One self-contained page."""
        environment = Environment(
            loader=PackageLoader("loraleak.reporting"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"shown": shown, "in_brackets": in_brackets, "reach": _reach}
        return environment.get_template("compare.html.j2").render(it=self, headlines=HEADLINES)


def read_report(path: Path) -> Told:
    """Read a report.json, or the one in a report's folder.

    Raises: UsageError, if there is none or it is no report.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise UsageError("it is too large for a report", path=path)
        return _told(json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        fault = "it holds no report.json" if path.is_dir() else "no such file"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fault = f"it is no report of the schema {SCHEMA}"
    raise UsageError(fault, path=path, remedy="give a report.json, or the folder that `loraleak audit` wrote")


def compare(before: Told, after: Told) -> Comparison:
    """Compare two reports arm by arm."""
    first, second = ({arm.name: arm for arm in told.arms} for told in (before, after))
    arms = tuple(
        ComparedArm(name, (first.get(name) or second[name]).role, first.get(name), second.get(name)) for name in first | second
    )
    return Comparison(before, after, arms, _doubts(before, after))


def _doubts(before: Told, after: Told) -> tuple[str, ...]:
    doubts = []
    if before.photos != after.photos:
        doubts.append("The two reports are about different photos.")
    if before.base_sha256 != after.base_sha256:
        doubts.append("The two reports are about different base models.")
    other = [name for name in _SAME_SETTINGS if before.settings.get(name) != after.settings.get(name)]
    if other:
        doubts.append(f"The two audits had different settings: {', '.join(name.replace('_', ' ') for name in other)}.")
    return tuple(doubts)


def _told(plain: Any) -> Told:
    if plain["schema"] != SCHEMA or plain["verdict"]["level"] not in LEVELS:
        raise ValueError
    return Told(
        adapter=str(plain["adapter"]["path"]),
        level=plain["verdict"]["level"],
        p_value=float(plain["verdict"]["p_value"]),
        arms=tuple(_told_arm(str(name), arm) for name, arm in plain["arms"].items()),
        findings=len(plain["metadata"]),
        base_sha256=str(plain["base"]["sha256"]),
        photos=tuple(sorted(str(photo["sha256"]) for photo in plain["photos"])),
        settings=dict(plain["settings"]),
    )


def _told_arm(name: str, arm: Any) -> ToldArm:
    if arm["role"] not in get_args(ArmRole):
        raise ValueError
    similarity = Interval(*(float(arm["similarity"][key]) for key in ("mean", "low", "high")))
    recognised = arm.get("recognised")
    return ToldArm(name, arm["role"], similarity, int(arm["images"]), recognised and len(recognised["pictures"]))


def _reach(arm: ToldArm) -> str:
    """Recognised pictures; the cosine where nobody was compared with."""
    return _cosine(arm) if arm.hits is None else f"{arm.hits} of {arm.images} recognised"


def _cosine(arm: ToldArm) -> str:
    return f"cosine {arm.similarity.mean:.2f}"


def _plain(arm: ToldArm | None) -> dict[str, Any] | None:
    if arm is None:
        return None
    mean, low, high = arm.similarity.mean, arm.similarity.low, arm.similarity.high
    return {"images": arm.images, "recognised": arm.hits, "similarity": {"mean": mean, "low": low, "high": high}}
