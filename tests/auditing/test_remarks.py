"""Advice follows from what was measured for this very file."""

from dataclasses import replace

import pytest

from loraleak.auditing.remarks import advice
from loraleak.reporting import DefenceStudy, Report, conclusion
from loraleak.types import Adapter


@pytest.fixture
def bare() -> Adapter:
    return Adapter(factors={}, format="kohya", metadata={}, sha256="")


def test_a_leak_leads_to_the_photo_and_to_a_study_of_defences(report: Report, bare: Adapter) -> None:
    told = advice(replace(report.verdict, level="high", missing=""), bare, None, "me.png")
    assert told[0] == "Do not publish this file as it is."
    assert any("run the audit again with --defences" in sentence for sentence in told)
    assert any("me.png" in sentence for sentence in told)
    assert not any("scrub" in sentence for sentence in told), "its header tells nothing"


def test_a_study_decides_what_to_do(report: Report, bare: Adapter, study: DefenceStudy) -> None:
    verdict = replace(report.verdict, level="high", missing="")
    chosen = advice(verdict, bare, replace(study, recommended=0))
    assert any(study.tried[0].defence in sentence for sentence in chosen)
    none = replace(study, recommended=None)
    assert conclusion(none) in advice(verdict, bare, none)


def test_silence_is_no_promise_and_a_telling_header_goes(report: Report, bare: Adapter) -> None:
    told = advice(
        replace(report.verdict, level="low", missing=""), replace(bare, metadata={"ss_output_name": "jane"}), None, "me.png"
    )
    assert "no proof of safety" in told[0] and "scrub" in told[-1] and len(told) == 2
