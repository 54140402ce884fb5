"""The page without a server, in a real browser: opened from a folder, and from a web server that has files and nothing else."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from loraleak.cli.main import main
from oracles.browser import asked_for, serious_faults, without

_PATIENCE = 120
_PRIVATE = {
    "ss_network_module": "networks.lora",
    "ss_base_model_version": "sd_v1",
    "ss_dataset_dirs": json.dumps({"10_jane doe <img src=x onerror=alert(1)>": {"n_repeats": 10, "img_count": 12}}),
}


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, as `loraleak page` writes it."""
    if shutil.which("npm") is None:
        without("no npm, which fetches Pyodide: install Node.js")
    file = tmp_path_factory.mktemp("page") / "index.html"
    assert main(["page", "-o", str(file)]) == 0
    return file


@pytest.fixture(scope="module")
def page(html: Path, browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """The page, opened from its folder, 390 pixels wide."""
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(html.parent)})
    asked_for(browser)
    browser.get(html.as_uri())
    yield browser
    browser.get("about:blank")


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """A file in kohya's layout whose header names a person."""
    stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    shapes = {"lora_down.weight": (4, 320), "lora_up.weight": (320, 4), "alpha": ()}
    tensors = {f"{stem}.{part}": torch.full(shape, 0.25) for part, shape in shapes.items()}
    file = tmp_path / "jane.safetensors"
    save_file(tensors, file, _PRIVATE)
    return file


def _wait(browser: webdriver.Chrome, until: Callable[[], Any]) -> Any:
    return WebDriverWait(browser, _PATIENCE, poll_frequency=0.1).until(lambda _: until())


def _drop(page: webdriver.Chrome, file: Path) -> str:
    """Drop a file, and give what the page tells of it."""
    page.find_element(By.ID, "file").send_keys(str(file))
    told = page.find_element(By.ID, "told")
    return str(_wait(page, lambda: told.find_elements(By.CSS_SELECTOR, ".inspected, .fault") and told.text))


def test_a_file_is_inspected_and_its_clean_copy_is_that_of_the_command_line(
    page: webdriver.Chrome, html: Path, lora: Path, tmp_path: Path
) -> None:
    told = _drop(page, lora)
    assert "kohya" in told and "Stable Diffusion 1.x" in told and "4, 1 modules" in told
    assert "critical ss_dataset_dirs" in told and "jane doe <img src=x onerror=alert(1)>" in told
    assert page.find_elements(By.CSS_SELECTOR, "#told img") == []
    page.find_element(By.ID, "clean").send_keys(Keys.ENTER)
    link = _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#cleaned a"))[0]
    assert page.switch_to.active_element == link
    link.send_keys(Keys.ENTER)
    copy = html.parent / "jane-clean.safetensors"
    _wait(page, copy.is_file)
    assert main(["scrub", str(lora), "-o", str(tmp_path / "out.safetensors")]) == 0
    assert sha256(copy.read_bytes()).digest() == sha256((tmp_path / "out.safetensors").read_bytes()).digest()


def test_a_hostile_file_is_one_line(page: webdriver.Chrome, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.safetensors"
    hostile.write_bytes(b"\x80\x04}.")
    assert "pickle" in _drop(page, hostile)
    assert page.find_elements(By.CSS_SELECTOR, "#told img") == []
    assert not page.find_element(By.ID, "clean").is_enabled()
    bomb = tmp_path / "bomb.safetensors"
    bomb.write_bytes((2**40).to_bytes(8, "little") + b"{" + b" " * 300)
    page.find_element(By.ID, "file").clear()
    assert "its header claims" in _drop(page, bomb)


def test_it_pleases_axe_on_a_narrow_screen_and_asks_for_nothing(page: webdriver.Chrome, html: Path, lora: Path) -> None:
    _drop(page, lora)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    for scheme in ("light", "dark"):
        theme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
        assert serious_faults(page) == []
    asked = asked_for(page)
    assert html.as_uri() in asked
    assert [url for url in asked if not url.startswith((html.as_uri(), "data:", "blob:"))] == []
    with pytest.raises(Exception, match=r"Content Security Policy|Failed to fetch"):
        page.execute_script("return fetch('https://example.org/')")


def test_a_web_server_that_has_files_only_is_enough(html: Path, browser: webdriver.Chrome, lora: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(html.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_port}/index.html")
        assert "ss_dataset_dirs" in _drop(browser, lora)
        browser.get("about:blank")
        server.shutdown()
