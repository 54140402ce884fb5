"""Advice follows from what was measured for this very file."""

from dataclasses import replace

import pytest

from loraleak.auditing.remarks import advice
from loraleak.reporting import DefenceStudy, Report, conclusion
from loraleak.reporting.results import Level
from loraleak.types import Adapter


@pytest.fixture
def bare() -> Adapter:
    return Adapter(factors={}, format="kohya", metadata={}, sha256="")


def test_a_leak_leads_to_the_photo_and_to_a_study_of_defences(report: Report, bare: Adapter) -> None:
    told = advice(replace(report.verdict, level="high", missing=""), bare, None, base="pocket", most_exposed="me.png")
    assert told[0] == "Do not publish this file as it is."
    assert any("run the audit again with --defences" in sentence for sentence in told)
    assert any("me.png" in sentence for sentence in told)
    assert not any("scrub" in sentence for sentence in told), "its header tells nothing"


def test_a_study_decides_what_to_do(report: Report, bare: Adapter, study: DefenceStudy) -> None:
    verdict = replace(report.verdict, level="high", missing="")
    chosen = advice(verdict, bare, replace(study, recommended=0), base="pocket")
    assert any(study.tried[0].defence in sentence for sentence in chosen)
    none = replace(study, recommended=None)
    assert conclusion(none) in advice(verdict, bare, none, base="pocket")


def test_decoys_are_named_only_where_they_were_measured_and_nothing_else_helps(
    report: Report, bare: Adapter, study: DefenceStudy
) -> None:
    verdict, none = replace(report.verdict, level="high", missing=""), replace(study, recommended=None)

    def named(level: Level, tried: DefenceStudy | None, base: str) -> bool:
        told = advice(replace(verdict, level=level), bare, tried, base=base)
        return any("decoys" in sentence and "still finds them" in sentence for sentence in told)

    assert named("high", none, "pocket") and named("review", none, "pocket")
    assert not named("high", none, "some/base") and not named("low", none, "pocket")
    assert not named("high", replace(study, recommended=0), "pocket") and not named("high", None, "pocket")


def test_silence_is_no_promise_and_a_telling_header_goes(report: Report, bare: Adapter) -> None:
    told = advice(
        replace(report.verdict, level="low", missing=""),
        replace(bare, metadata={"ss_output_name": "jane"}),
        None,
        base="pocket",
        most_exposed="me.png",
    )
    assert "no proof of safety" in told[0] and "scrub" in told[-1] and len(told) == 2
