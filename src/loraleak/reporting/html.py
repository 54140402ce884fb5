"""The report as one self-contained page: no script, nothing fetched, everything from files escaped."""

import base64
from dataclasses import dataclass
from io import BytesIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from loraleak.reporting.defence_rows import groups_of_study, strips_of_study
from loraleak.reporting.first_screen import Match, chances_of, evidence_in_words, most_telling, sure_in_words
from loraleak.reporting.glossary import GLOSSARY
from loraleak.reporting.groups import groups_of
from loraleak.reporting.plot import axis_of, rows_of
from loraleak.reporting.results import ArmResult, AuditResult, Bystander, DefenceStudy
from loraleak.reporting.words import (
    ANSWERS,
    HEADLINES,
    ROLES,
    chance_in_words,
    conclusion,
    excess_in_words,
    in_brackets,
    percent,
    resolution_in_words,
    scrub_command,
    shown,
)
from loraleak.types import Picture

__all__ = ["data_uri", "to_html"]

_PAIRS = 3
_MAX_SIDE = 256
_SMALL_SIDE = 80


@dataclass(frozen=True)
class Pair:
    """A reconstruction and the photo that it is most like, both as data URIs."""

    arm: str
    made: str
    photo: str
    photo_path: str
    cosine: float
    recognised: bool | None
    shows_nobody: bool = False


def to_html(report: AuditResult) -> str:
    """The page as text. Its pictures are PNG data URIs."""
    environment = Environment(
        loader=PackageLoader("loraleak.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown,
        "in_brackets": in_brackets,
        "excess": excess_in_words,
        "resolution": resolution_in_words,
        "percent": percent,
        "chance": chance_in_words,
    }
    photos = [data_uri(photo.picture) for photo in report.photos]
    small = [data_uri(photo.picture, _SMALL_SIDE) for photo in report.photos]
    probability = report.verdict.probability
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=HEADLINES[report.verdict.level],
        answer=ANSWERS[report.verdict.level],
        evidence=evidence_in_words(report),
        sure=sure_in_words(report.verdict),
        chances=() if probability is None else chances_of(probability),
        roles=ROLES,
        glossary=GLOSSARY,
        pairs=[_pair(match, report, photos) for match in most_telling(report, _PAIRS)],
        photos=sorted(zip(report.photos, photos, strict=True), key=lambda both: -both[0].exposure),
        marked=_marked(report),
        groups=[(group, [(arm, _strip(arm, report, small)) for arm in group.arms]) for group in groups_of(report.arms)],
        comparisons=[(arm, _strip(arm, report, small)) for arm in report.arms if arm.role in ("floor", "control")],
        nobody=any(arm.empty for arm in report.arms),
        bystanders=[(bystander, data_uri(bystander.picture)) for bystander in _most_exposed_first(report)],
        axis=axis_of(report.arms),
        rows=rows_of(report.arms),
        defences=None if report.defences is None else _defences(report, report.defences),
    )


def _defences(report: AuditResult, study: DefenceStudy) -> dict[str, object]:
    return {
        "recommended": "" if study.recommended is None else study.tried[study.recommended].defence,
        "conclusion": conclusion(study),
        "command": scrub_command(report),
        "groups": groups_of_study(study),
        "strips": strips_of_study(study, data_uri),
    }


def _marked(report: AuditResult) -> bool:
    """Whether the first photo is called the most exposed: some attack shows somebody, and the photo's figure is not 0.00."""
    shown = any(not all(arm.shows_nobody) for arm in report.arms if arm.role == "attack")
    return shown and max((round(photo.exposure, 2) for photo in report.photos), default=0.0) > 0


def _most_exposed_first(report: AuditResult) -> list[Bystander]:
    return sorted(report.bystanders, key=lambda bystander: -bystander.exposure)


def _strip(arm: ArmResult, report: AuditResult, photos: list[str]) -> list[Pair]:
    return [_pair(Match(arm, picture), report, photos) for picture in range(len(arm.images))]


def _pair(match: Match, report: AuditResult, photos: list[str]) -> Pair:
    return Pair(
        arm=match.arm.name,
        made=data_uri(match.arm.images[match.picture]),
        photo=photos[match.photo],
        photo_path=report.photos[match.photo].path,
        cosine=match.cosine,
        recognised=match.recognised,
        shows_nobody=match.arm.shows_nobody[match.picture],
    )


def data_uri(picture: Picture, longest: int = _MAX_SIDE) -> str:
    """A picture as an address that holds it, as PNG, with its longer side cut down to so many pixels."""
    image = Image.fromarray(picture)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
