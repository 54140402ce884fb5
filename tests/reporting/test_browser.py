"""The page in a real browser: wide and narrow, light and dark."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from loraleak.reporting.report import Report
from loraleak.reporting.results import DefenceStudy, Probability

_VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]

# Text on its own ground: for every element that holds text itself, the WCAG contrast ratio and the size in pixels.
_CONTRASTS = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const rgba = text => text.match(/[\\d.]+/g).map(Number);
const ground = e => {
  for (; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("body *")]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => {
    const style = getComputedStyle(e);
    const ink = luminance(rgba(e instanceof SVGElement ? style.fill : style.color)), paper = luminance(ground(e));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return [ratio, parseFloat(style.fontSize), e.textContent.trim().slice(0, 40)];
  });
"""

_HIDDEN_NUMBERS = """
const numbers = ".count b, .null b, .strip figcaption, .pair b, .photos b, .plot .value, .bar .value, .command";
return [...document.querySelectorAll(numbers)]
  .filter(e => {
    const box = e.getBoundingClientRect();
    return box.width < 10 || box.height < 8 || box.left < 0 || box.right > innerWidth || !e.checkVisibility();
  })
  .map(e => e.textContent);
"""

_UNFOLD = "document.querySelectorAll('details').forEach(folded => folded.open = true)"

_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]})
  .then(found => done(found.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 120)])));
"""


@pytest.fixture
def report(report: Report, study: DefenceStudy) -> Report:
    """With every section that there is."""
    return replace(report, defences=study)


@pytest.fixture(params=_VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def view(request: pytest.FixtureRequest, browser: webdriver.Chrome, report: Report, tmp_path: Path) -> webdriver.Chrome:
    """The report, open at one width and in one colour scheme; the logs hold this page's events only."""
    width, scheme = request.param
    page = tmp_path / "report.html"
    page.write_text(report.to_html(), encoding="utf-8")
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get("about:blank")
    for kind in ("performance", "browser"):
        browser.get_log(kind)
    browser.get(page.as_uri())
    assert browser.execute_script("return matchMedia(`(prefers-color-scheme: ${arguments[0]})`).matches", scheme)
    assert browser.execute_script("return innerWidth") == width
    return browser


def test_the_page_is_readable(view: webdriver.Chrome, report: Report) -> None:
    assert view.execute_script("return [...document.images].filter(i => !i.naturalWidth).length") == 0
    assert view.execute_script("return document.images.length") >= sum(2 * len(arm.images) for arm in report.arms)
    assert view.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    view.execute_script(_UNFOLD)
    assert view.execute_script(_HIDDEN_NUMBERS) == []
    text = view.execute_script("return document.body.innerText")
    for arm in report.arms:
        interval = arm.similarity
        assert text.count(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]") == 2, (
            "once in the table, once in the plot"
        )
    assert "p = 0.0039" in text and "no difference shown" in text


def test_text_stands_out_and_is_not_small(view: webdriver.Chrome) -> None:
    contrasts: list[tuple[float, float, str]] = view.execute_script(_CONTRASTS)
    assert len(contrasts) > 50
    assert [(text, ratio) for ratio, _, text in contrasts if ratio < 4.5] == []
    assert [(text, size) for _, size, text in contrasts if size < 13] == []


def test_axe_finds_no_violation(view: webdriver.Chrome) -> None:
    view.execute_script(_UNFOLD)
    view.execute_script(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    assert view.execute_async_script(_AXE) == []


def test_what_a_key_chooses_is_shown(browser: webdriver.Chrome, report: Report, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    probability = Probability(((0.1, 0.82), (0.5, 0.9762)), 0.04)
    page.write_text(replace(report, verdict=replace(report.verdict, probability=probability)).to_html(), encoding="utf-8")
    browser.get(page.as_uri())
    shown = "return [...document.querySelectorAll('.after')].filter(e => e.checkVisibility()).map(e => e.innerText)"
    assert browser.execute_script(shown) == ["After it, a leak is 98% likely."]
    browser.find_element(By.ID, "prior-4").send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert browser.execute_script(shown) == ["After it, a leak is 82% likely."]


def test_dark_is_dark_and_light_is_light(view: webdriver.Chrome) -> None:
    ground = view.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    dark = view.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert (sum(ground) < 3 * 64) if dark else (sum(ground) > 3 * 192)


def test_nothing_is_fetched_and_nothing_runs(view: webdriver.Chrome) -> None:
    events: list[dict[str, Any]] = [json.loads(entry["message"])["message"] for entry in view.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert any(url.startswith("file:") for url in asked)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    # a script, handler or address that got through would show here as refused by the page's policy
    assert view.get_log("browser") == []
    assert view.execute_script("return document.scripts.length") == 0
