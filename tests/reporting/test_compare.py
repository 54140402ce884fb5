"""Two reports side by side: what changed, what cannot be compared, and files that are no reports."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from selenium import webdriver

from loraleak.errors import UsageError
from loraleak.reporting import Report, compare, read_report


@pytest.fixture
def pair(report: Report, tmp_path: Path) -> tuple[Path, Path]:
    """Before: 7 of 8 pictures recognised, level high. After: 1 of 8, level low, without one of the arms."""
    before = replace(report, arms=tuple(replace(arm, recognised=(True,) * 7 + (False,)) for arm in report.arms))
    fewer = tuple(replace(arm, recognised=(True,) + (False,) * 7) for arm in report.arms[:-1])
    after = replace(report, arms=fewer, verdict=replace(report.verdict, level="low", p_value=0.4))
    for name, told in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        told.write(tmp_path / name)
    return tmp_path / "before", tmp_path / "after"


def test_it_tells_what_changed(pair: tuple[Path, Path]) -> None:
    comparison = compare(*map(read_report, pair))
    assert comparison.answer == "The second file gives less away: the level was high and is low."
    assert comparison.evidence == ("Best attempt of a stranger: 7 of 8 recognised before, 1 of 8 recognised after.",)
    assert comparison.doubts == ()
    plain = comparison.to_json()
    assert plain["level"] == {"before": "high", "after": "low"} and plain["p_value"] == {"before": 0.0039, "after": 0.4}
    assert plain["arms"]["lora-class"]["before"]["recognised"] == 7
    assert plain["arms"]["lora-trigger"]["after"] is None


def test_it_says_what_cannot_be_compared(report: Report, pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = replace(report, photos=report.photos[:1], base_sha256="c" * 64, settings={**report.settings, "steps": 2})
    (tmp_path / "other.json").write_text(json.dumps(other.to_json()))
    doubts = " ".join(compare(read_report(pair[0]), read_report(tmp_path / "other.json")).doubts)
    assert "different photos" in doubts and "different base models" in doubts and "different settings: steps" in doubts


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "loraleak.report/1"}', "[" * 100_000, '{"schema": 3}', "\xff"])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text, "latin-1")
    with pytest.raises(UsageError, match="no report of the schema"):
        read_report(tmp_path)
    with pytest.raises(UsageError, match=r"holds no report\.json"):
        read_report(tmp_path.parent)


def test_its_page_shows_texts_as_text_and_pleases_axe(pair: tuple[Path, Path], browser: webdriver.Chrome) -> None:
    page = pair[0] / "compare.html"
    page.write_text(compare(*map(read_report, pair)).to_html(), "utf-8")
    browser.get(page.as_uri())
    assert "<script>alert('x')</script>" in browser.execute_script("return document.body.innerText")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.execute_script(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations.map(v => v.id)))"
    )
    assert found == []
