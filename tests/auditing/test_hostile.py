"""A report that the real audit made of an adapter, photos and prompts whose every text is an attack, in a real browser."""

import io
import json
import re
import unicodedata
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import UnexpectedAlertPresentException

from hostile_texts import ATTACKER, CONTROLS, MARKUP, PAYLOAD, hostile_lora, is_plain
from loraleak.cli import main
from loraleak.types import Images

_MODULE = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
_NAMES = [text.encode()[:120].decode(errors="ignore").replace("/", "\u2215").replace("\x00", "") for text in MARKUP + CONTROLS]

_TOUCH_EVERYTHING = """
const kinds = ["mouseover", "pointerenter", "mouseenter", "focus", "click", "toggle", "load", "error", "begin", "submit"];
for (const e of document.querySelectorAll("*")) for (const kind of kinds) e.dispatchEvent(new Event(kind, {bubbles: true}));
"""
_ACTIVE = """
const said = e => [...e.attributes].map(a => [a.name, a.value]);
const live = new Set("script iframe frame object embed applet base link form button input textarea select audio video source track"
  .concat(" template noscript a area animate set use image foreignObject math portal dialog marquee").split(" "));
return [...document.querySelectorAll("*")].filter(e => live.has(e.localName) || said(e).some(([name, value]) =>
  name.startsWith("on") || ["href", "xlink:href", "action", "formaction", "srcdoc", "srcset", "poster", "background", "autofocus",
  "tabindex", "http-equiv"].includes(name) && e.localName !== "meta" || name === "src" && !value.startsWith("data:image/png;base64,")
  || name === "style" && !/^[\\w\\s.:;%()-]*$/.test(value))).map(e => e.outerHTML.slice(0, 200));
"""

_OURS = re.compile('<a (class="word" )?href="#[a-z-]+"|<input type="radio" name="prior" id=|<div class="scroll" tabindex="0" ')


@dataclass(frozen=True)
class Audited:
    """What one command wrote."""

    folder: Path
    code: int
    out: str
    err: str


@pytest.fixture
def audited(tmp_path: Path, pipeline_folder: Path, private_images: Images) -> Audited:
    torch.manual_seed(0)
    tensors = {f"{_MODULE}.lora_A.weight": torch.randn(2, 8), f"{_MODULE}.lora_B.weight": torch.randn(8, 2)}
    file = hostile_lora(tmp_path / f"{_NAMES[0]}{_NAMES[-2]}.safetensors", tensors, torch.ones(1, 2))
    (tmp_path / "photos").mkdir()
    for i, name in enumerate(_NAMES):
        Image.fromarray(private_images[i % len(private_images)]).save(tmp_path / "photos" / f"{name}.png")
    sampled = (
        "--images",
        "2",
        "--steps",
        "2",
        "--arms",
        "lora-class",
        "lora-trigger",
        "--device",
        "cpu",
        "--fail-on",
        "never",
        "--others-count",
        "19",
    )
    texts = ("--prompt", f"{MARKUP[1]}{CONTROLS[0]}", "--class-prompt", f"{MARKUP[2]}{CONTROLS[5]}")
    arguments = ["audit", str(file), "--photos", str(tmp_path / "photos"), "--base", str(pipeline_folder), *sampled, *texts]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([*arguments, "--out", str(tmp_path / "report")])
    return Audited(tmp_path / "report", code, out.getvalue(), err.getvalue())


def _events(browser: webdriver.Chrome, page: Path) -> list[dict[str, Any]]:
    """Open a page and touch all of it: what the browser then did. A dialog is closed."""
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get(page.as_uri())
    with suppress(UnexpectedAlertPresentException):
        browser.execute_script(_TOUCH_EVERYTHING)
    return [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]


def _asked(events: list[dict[str, Any]]) -> set[str]:
    urls = (event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent")
    return {url for url in urls if not url.startswith("data:image/png;base64,")}


def _opens_dialog(events: list[dict[str, Any]]) -> bool:
    return any(event["method"] == "Page.javascriptDialogOpening" for event in events)


def test_nothing_runs_and_nothing_is_fetched(audited: Audited, browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Even without the policy that the page sets itself: escaping alone must do."""
    assert audited.code == 0, audited.err
    guarded = audited.folder / "report.html"
    html = guarded.read_text("utf-8")
    policy = (
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
    )
    assert html.index(policy) < html.index("<title>")
    open_page = tmp_path / "open.html"
    open_page.write_text(html.replace(policy, ""), encoding="utf-8")
    for page in (guarded, open_page):
        events = _events(browser, page)
        assert _asked(events) == {page.as_uri()}
        assert not _opens_dialog(events)
        assert browser.execute_script("return typeof pwned") == "undefined"
        assert browser.execute_script("return document.title").startswith("loraleak: ")
        assert browser.current_url == page.as_uri() and len(browser.window_handles) == 1
        assert [element for element in browser.execute_script(_ACTIVE) if not _OURS.match(element)] == []
    assert html.count("&lt;script") > 10


def test_the_same_texts_run_and_fetch_where_nobody_escapes_them(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """The attacks are real, or their failing would mean nothing."""
    page = tmp_path / "raw.html"
    for text, runs in ((MARKUP[0], True), (MARKUP[2], True), (MARKUP[3], True), (MARKUP[9], True), (MARKUP[24], False)):
        page.write_text(f"<!doctype html><p>{text}", encoding="utf-8")
        events = _events(browser, page)
        assert (browser.execute_script("return typeof pwned") == "number") == runs, text
        assert any(ATTACKER in url for url in _asked(events)) != runs, text
        assert browser.execute_script(_ACTIVE), text
    page.write_text("<!doctype html><script>alert(1)</script>", encoding="utf-8")
    assert _opens_dialog(_events(browser, page))


def test_what_is_printed_and_written_is_plain(audited: Audited) -> None:
    assert audited.code == 0 and is_plain(audited.out) and is_plain(audited.err)
    for name in ("report.html", "model-card.md"):
        text = (audited.folder / name).read_text("utf-8")
        assert {c for c in text if unicodedata.category(c)[0] == "C"} == {"\n"}, name
    data = (audited.folder / "report.json").read_bytes()
    assert data.isascii() and b"\x1b" not in data
    report = json.loads(data)
    assert len(report["metadata"]) > len(MARKUP) and len(report["photos"]) == len(_NAMES)
    card = (audited.folder / "model-card.md").read_text("utf-8")
    assert PAYLOAD not in card and ATTACKER not in card and "<" not in card
