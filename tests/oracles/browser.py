"""A real browser, headless."""

import json
import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import NoReturn

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service

_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]})
  .then(found => done(found.violations.map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 120)])));
"""


def serious_faults(browser: webdriver.Chrome) -> list[list[str]]:
    """What axe-core finds in the page: impact, rule, and the first piece of HTML; the serious and the critical ones."""
    browser.execute_script(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    return [found for found in browser.execute_async_script(_AXE) if found[0] in ("serious", "critical")]


def asked_for(browser: webdriver.Chrome) -> list[str]:
    """Addresses that the browser has asked for since this was last looked at."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def without(message: str) -> NoReturn:
    """A missing browser is a fault where the tests guard the project, and no more than a gap elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        without("no Chromium or no chromedriver: on Debian, apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    try:
        chrome = webdriver.Chrome(options=options, service=Service(driver))
    except WebDriverException as error:
        without(f"Chromium does not start: {error.msg}")
    yield chrome
    chrome.quit()
