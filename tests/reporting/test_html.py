"""The page: self-contained, nothing from a file becomes markup, and what a program may look for in it."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loraleak.reporting.report import Report
from loraleak.reporting.results import LEVELS, DefenceResult, DefenceStudy, Probability
from loraleak.reporting.words import HEADLINES

Attributes = dict[str, str | None]
_VOID = {"br", "hr", "img", "input", "link", "meta"}


class _Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Attributes]] = []
        self.text = ""
        self.styles = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles += data
        else:
            self.text += data

    def holding(self, attribute: str) -> list[Attributes]:
        return [attributes for _, attributes in self.tags if attribute in attributes]


@pytest.fixture
def page(report: Report) -> _Page:
    return _Page(report.to_html())


def _pixels(uri: str) -> np.ndarray:
    start = "data:image/png;base64,"
    assert uri.startswith(start)
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.removeprefix(start), validate=True))))


def test_the_page_runs_nothing_and_fetches_nothing(page: _Page) -> None:
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base", "use"})
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("xlink:href", "srcset", "style") for name in attributes)
        if "href" in attributes:
            assert tag == "a" and (attributes["href"] or "").startswith("#")
        if "src" in attributes:
            assert tag == "img"
            _pixels(attributes["src"] or "")
    assert not re.search(r"url\(|@import|expression", page.styles)
    (policy,) = [a["content"] for a in page.holding("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_text_from_files_is_shown_as_text(page: _Page) -> None:
    assert page.text.count("<script>alert('x')</script>") >= 3
    assert "{{ 7 * 7 }}" in page.text
    assert r"\u202egnp.exe\u2066\u001b[2J\u0000\u000d\u000a\u200b\udcff" in page.text
    assert "w" * 1000 not in page.text


def test_no_control_or_direction_character_reaches_the_page(report: Report) -> None:
    text = report.to_html()
    assert all(c.isprintable() or c == "\n" for c in text)
    text.encode()


def test_the_banner_says_level_p_value_reasons_and_null(report: Report) -> None:
    for level in LEVELS:
        page = _Page(replace(report, verdict=replace(report.verdict, level=level)).to_html())
        (banner,) = page.holding("data-verdict")
        assert banner["data-verdict"] == level
        assert float(banner["data-p-value"] or "") == report.verdict.p_value
        for words in (level.capitalize(), HEADLINES[level], "p = 0.0039", "First reason", "Second reason", "255 controls"):
            assert words in page.text


def test_the_banner_says_how_small_p_could_have_been(report: Report) -> None:
    assert "It could not have been below 0.0039." in report.to_html()
    two = replace(report.verdict, tests=report.verdict.tests * 2)
    assert "The 2 comparisons gave 0.0039, 0.0039; the least counts, times 2." in replace(report, verdict=two).to_html()


def test_the_banner_never_hides_what_the_header_tells(report: Report) -> None:
    low = replace(report, verdict=replace(report.verdict, level="low"))
    assert "Not in this verdict: the file's header" in _Page(low.to_html()).text
    assert "Not in this verdict" not in _Page(replace(low, metadata=()).to_html()).text


def test_each_arm_has_its_section_numbers_and_pictures(report: Report, page: _Page) -> None:
    sections = page.holding("data-arm")
    told = {(s["data-arm"], s["data-role"], float(s["data-similarity"] or "")) for s in sections}
    assert len(sections) == len(report.arms)
    assert told == {(arm.name, arm.role, arm.similarity.mean) for arm in report.arms}
    for arm in report.arms:
        assert f"{arm.similarity.mean:.2f} [{arm.similarity.low:.2f}, {arm.similarity.high:.2f}]" in page.text
        assert arm.says in page.text
    assert "+0.53 [+0.40, +0.60] over base-class" in page.text
    assert page.text.count("no difference shown") == 1
    made = [a["src"] or "" for a in page.holding("src") if (a["alt"] or "").startswith("lora-class, picture")]
    assert len(made) == 8
    for uri, picture in zip(made, report.arms[1].images, strict=True):
        np.testing.assert_array_equal(_pixels(uri), picture)


def test_closest_matches_are_the_attacks_best_beside_the_photos_they_are_most_like(report: Report, page: _Page) -> None:
    pairs = [a for a in page.holding("data-similarity") if "pair" in (a.get("class") or "").split()]
    cosines = [float(a["data-similarity"] or "") for a in pairs]
    attacks = [arm for arm in report.arms if arm.role == "attack"]
    assert len(cosines) == 3 and cosines == sorted(cosines, reverse=True)
    assert cosines[0] == max(round(s, 4) for arm in attacks for s in arm.nearest_similarity)
    assert set(cosines) <= {round(s, 4) for arm in attacks for s in arm.nearest_similarity}


def test_photos_come_most_exposed_first_and_the_first_is_marked(page: _Page) -> None:
    figures = page.holding("data-exposure")
    assert [float(f["data-exposure"] or "") for f in figures] == [0.81, 0.52, 0.31]
    assert ["most" in (f["class"] or "").split() for f in figures] == [True, False, False]
    assert page.text.count(" most exposed") >= 1


def test_no_photo_is_called_the_most_exposed_where_nothing_exposes_any(report: Report) -> None:
    unlike = replace(report, photos=tuple(replace(photo, exposure=0.004) for photo in report.photos))
    nobody = replace(report, arms=tuple(replace(arm, shows_nobody=(True,) * len(arm.images)) for arm in report.arms))
    for changed in (unlike, nobody):
        page = _Page(changed.to_html())
        assert not any("most" in (figure["class"] or "").split() for figure in page.holding("data-exposure"))
        assert " most exposed" not in page.text.replace("Your photos, most exposed first", "")


def test_bystanders_have_pictures_and_figures_of_their_own(page: _Page) -> None:
    assert [figure["data-bystander"] for figure in page.holding("data-bystander")] == ["0.4400", "0.1000"]
    assert "Others on your photos" in page.text


def test_what_else_the_file_tells_stands_with_its_null(page: _Page) -> None:
    assert [tag["data-answer"] for tag in page.holding("data-answer")] == ["membership", "other"]
    assert "more familiar than 4 of 4" in page.text and "Compared with: others." in page.text and "Not tested." in page.text


def test_a_picture_that_shows_nobody_has_no_nearest_photo(report: Report, page: _Page) -> None:
    strips = [a for _, a in page.tags if a.get("class") == "nobody"]
    assert len(strips) == len(report.arms)
    assert page.text.count("shows nobody") == len(report.arms) and "1 of 8 show nobody" in page.text


def test_every_picture_has_an_alternative_text(page: _Page) -> None:
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert pictures and all(attributes.get("alt") for attributes in pictures)


def test_large_photos_are_drawn_small(page: _Page) -> None:
    sizes = {_pixels(a["src"] or "").shape for a in page.holding("src")}
    assert (192, 256, 3) in sizes
    assert max(max(shape) for shape in sizes) == 256


def test_every_link_leads_to_a_place_on_the_page(page: _Page) -> None:
    places = [attributes["id"] for attributes in page.holding("id")]
    assert len(places) == len(set(places))
    assert {(a["href"] or "")[1:] for a in page.holding("href")} <= set(places)


def test_the_four_groups_are_there_and_an_empty_one_says_why(report: Report, page: _Page) -> None:
    assert [a["data-group"] for a in page.holding("data-group")] == ["file", "base", "studied", "owner"]
    assert page.text.count("This audit did not try it") == 2
    alone = _Page(replace(report, arms=report.arms[:1]).to_html())
    assert alone.text.count("This audit did not try it") == 4


def test_the_first_screen_counts_recognised_pictures(report: Report) -> None:
    def seen(hits: int, best_other: int) -> dict[str, Any]:
        return {"recognised": (True,) * hits + (False,) * (8 - hits), "best_other": best_other}

    floor, best, other, *rest = report.arms
    arms = (
        replace(floor, **seen(1, 2)),
        replace(best, **seen(7, 0)),
        replace(other, **seen(0, 2)),
        *(replace(a, **seen(3, 5)) for a in rest),
    )
    counted = replace(report, arms=arms, others=100)
    text = _Page(counted.to_html()).text
    assert "In the best attempt, 7 of 8 pictures made by a stranger were recognised" in text
    assert "Of 100 other people, the best match reached 2 of 8." in text
    assert "Without your file, the base model reached 1 of 8." in text
    assert "about 4 of 1000 audits" in text
    assert counted.to_json()["arms"]["lora-class"]["recognised"] == {"pictures": list(range(7)), "best_other": 0}
    assert "In the best attempt" not in _Page(report.to_html()).text


def test_a_reader_chooses_the_chance_before_the_audit(report: Report) -> None:
    """Without a script: a radio button for each prior, and the sentence that belongs to it."""
    calibrated = replace(report, verdict=replace(report.verdict, probability=Probability(((0.1, 0.82), (0.5, 0.9762)), 0.04)))
    page = _Page(calibrated.to_html())
    choices = [a for tag, a in page.tags if tag == "input"]
    assert {a["type"] for a in choices} == {"radio"} and len({a["name"] for a in choices}) == 1
    assert ["checked" in a for a in choices] == [False, False, False, True, False, False, False]
    assert re.findall(r"a leak is (.*?) likely", page.text) == [
        "29%",
        "82%",
        "93%",
        "98%",
        "above 99%",
        "above 99%",
        "above 99%",
    ]
    assert not [a for tag, a in _Page(report.to_html()).tags if tag == "input"]


def test_findings_show_their_severity_and_an_empty_header_says_so(report: Report, page: _Page) -> None:
    assert [a["data-severity"] for a in page.holding("data-severity")] == ["critical", "high", "medium"]
    assert "Nothing was found in the file's header." not in page.text
    assert "Nothing was found in the file's header." in _Page(replace(report, metadata=()).to_html()).text


def test_what_is_needed_to_repeat_it_is_there(page: _Page) -> None:
    for words in (
        "a" * 64,
        "b" * 64,
        "seed",
        "steps",
        "20",
        "not given",
        "total 41.0 s",
        "2026-01-02T03:04:05Z",
        "loraleak 0.1.0",
    ):
        assert words in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda report: replace(report, arms=report.arms[:1]),
        lambda report: replace(report, arms=report.arms[1:]),
        lambda report: replace(
            report, photos=report.photos[1:2], arms=tuple(replace(arm, nearest=(0,) * 8) for arm in report.arms)
        ),
        lambda report: replace(report, settings={}, timings_s={}, advice=(), limits=(), knowledge=()),
    ],
    ids=["only the floor", "no floor", "one photo", "nothing to say"],
)
def test_small_reports_are_drawn_too(report: Report, change: Callable[[Report], Report]) -> None:
    small = change(report)
    assert len(_Page(small.to_html()).holding("data-arm")) == len(small.arms)


def test_defences_are_rows_with_leak_and_use_and_one_is_recommended(report: Report, study: DefenceStudy) -> None:
    assert _Page(report.to_html()).holding("data-defence") == []
    text = replace(report, defences=study).to_html()
    assert all(c.isprintable() or c == "\n" for c in text)
    page = _Page(text)
    rows = page.holding("data-defence")
    assert len(rows) == 1 + len(study.tried)
    assert ["best" in (row["class"] or "").split() for row in rows] == [False, True, False, False]
    assert [side["data-side"] for side in page.holding("data-side")] == ["leak", "use"] * len(rows)
    for words in ("0.21 [0.17, 0.26]", "34% stays", "0.66 [0.62, 0.71]", "no difference shown", "rank 2", "recommended"):
        assert words in page.text
    assert page.text.count("No attack was trained against it yet") == 3  # of the conclusion and of two defences
    assert page.text.count("trains an attack against it sees more") == 1
    (card,) = page.holding("data-recommended")
    assert card["data-recommended"] == "rank-truncation:rank=2"
    assert "--defence rank-truncation:rank=2" in page.text
    strips = [a for a in page.holding("alt") if "picture" in (a["alt"] or "") and "with lora-" in (a["alt"] or "")]
    assert len(strips) == 4 * 8
    assert page.text.count("<script>alert('x')</script>") > 3


def test_without_use_only_leak_is_drawn(report: Report, study: DefenceStudy) -> None:
    def unused(result: DefenceResult) -> DefenceResult:
        return replace(result, use=None, use_kept=None)

    study = replace(study, undefended=unused(study.undefended), tried=tuple(map(unused, study.tried)), recommended=None)
    page = _Page(replace(report, defences=study).to_html())
    assert {side["data-side"] for side in page.holding("data-side")} == {"leak"}
    assert "--prompt" in page.text and "recommended" not in [r["class"] for r in page.holding("data-defence")]
