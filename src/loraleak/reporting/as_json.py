"""The report as plain data in the schema `loraleak.report/1`. Later versions only add names to it."""

from dataclasses import asdict
from typing import Any

from loraleak.reporting.results import ArmResult, AuditResult, DefenceStudy, Probability, Side
from loraleak.types import Interval

__all__ = ["SCHEMA", "to_json"]

SCHEMA = "loraleak.report/1"


def to_json(report: AuditResult) -> dict[str, Any]:
    """The whole report but its pictures."""
    low, high = report.ranks
    return {
        "schema": SCHEMA,
        "loraleak": report.version,
        "created": report.created,
        "seed": report.seed,
        "base": {"name": report.base, "sha256": report.base_sha256},
        "adapter": {
            "path": report.adapter_path,
            "sha256": report.adapter_sha256,
            "format": report.adapter_format,
            "rank": {"min": low, "max": high},
            "modules": report.modules,
            "strength": report.strength,
        },
        "photos": [{"path": photo.path, "sha256": photo.sha256, "exposure": photo.exposure} for photo in report.photos],
        "others": report.others,
        "bystanders": [
            {"photos": list(bystander.photos), "exposure": bystander.exposure, "p_value": bystander.p_value}
            for bystander in report.bystanders
        ],
        "verdict": {
            "level": report.verdict.level,
            "p_value": report.verdict.p_value,
            "reasons": list(report.verdict.reasons),
            "null": report.verdict.null,
            "missing": report.verdict.missing or None,
            "positive_controls": [asdict(control) for control in report.verdict.positive_controls],
            "probability": None if report.verdict.probability is None else _probability(report.verdict.probability),
            "tests": [{**asdict(test), "reasons": list(test.reasons)} for test in report.verdict.tests],
        },
        "arms": {arm.name: _arm(arm) for arm in report.arms},
        "answers": [
            {**asdict(answer), "photos": [*map(asdict, answer.photos)], "readings": [*map(asdict, answer.readings)]}
            for answer in report.answers
        ],
        "defences": [] if report.defences is None else _defences(report.defences),
        "metadata": [asdict(finding) for finding in report.metadata],
        "knowledge": list(report.knowledge),
        "advice": list(report.advice),
        "limits": list(report.limits),
        "settings": report.settings,
        "timings_s": report.timings_s,
    }


def _probability(probability: Probability) -> dict[str, Any]:
    posteriors = [{"prior": prior, "posterior": posterior} for prior, posterior in probability.posteriors]
    return {"posteriors": posteriors, "calibration_error": probability.error}


def _arm(arm: ArmResult) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "role": arm.role,
        "says": arm.says,
        "adversary": arm.adversary,
        "images": len(arm.images),
        "shows_nobody": [i for i, nobody in enumerate(arm.shows_nobody) if nobody],
        "recognised": {"pictures": [i for i, seen in enumerate(arm.recognised) if seen], "best_other": arm.best_other}
        if arm.recognised
        else None,
        "similarity": _interval(arm.similarity),
        "nearest": [
            {"photo": photo, "cosine": cosine} for photo, cosine in zip(arm.nearest, arm.nearest_similarity, strict=True)
        ],
    }
    if arm.excess is not None:
        plain["excess"] = {**_interval(arm.excess), "over": arm.over}
    return plain


def _defences(study: DefenceStudy) -> list[dict[str, Any]]:
    """Rows of the study: the undefended adapter, under the name None, then the defences that were tried."""
    return [
        {
            "defence": result.defence or None,
            "name": result.name,
            "says": result.says,
            "leak": {**_side(result.leak), "over": study.over},
            "use": None if result.use is None else {**_side(result.use), "over": study.over},
            "leak_kept": result.leak_kept,
            "use_kept": result.use_kept,
            "needs_base": result.needs_base,
            "trained_against": result.trial,
            "recommended": i == study.recommended,
        }
        for i, result in enumerate((study.undefended, *study.tried), start=-1)
    ]


def _side(side: Side) -> dict[str, Any]:
    return {"arm": side.arm, "images": len(side.images), "excess": _interval(side.excess), "change": _interval(side.change)}


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
