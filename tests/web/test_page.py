"""The page in a real browser, as `loraleak ui` serves it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener, urlopen

import pytest
import torch
from safetensors.torch import load_file, save_file
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from loraleak.assets import DEMO
from oracles.browser import asked_for, serious_faults

_PATIENCE = 120


@dataclass(frozen=True)
class Served:
    address: str
    token: str
    files: Path

    def left(self) -> list[Path]:
        """Files of visitors that the server holds."""
        return [file for file in self.files.glob("loraleak-ui-*/**/*") if file.is_file() and file.stat().st_size]


@contextmanager
def _served(folder: Path, *arguments: str) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "loraleak", "ui", "--port", str(port), *arguments]
    environment = {**os.environ, "TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        awaited = " token " if arguments else "the page is at"
        line = next(line for line in process.stderr if awaited in line)
        try:
            yield Served(f"http://127.0.0.1:{port}/", line.split()[-1], folder)
        finally:
            process.terminate()
            process.stderr.read()
    assert not list(folder.glob("loraleak-ui-*"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with _served(tmp_path_factory.mktemp("ui")) as served:
        yield served


@pytest.fixture
def page(served: Served, browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """The page, 390 pixels wide."""
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get_log("performance")
    browser.get(served.address)
    _wait(browser, lambda: browser.find_elements(By.ID, "start"))
    yield browser
    browser.get("about:blank")


def _wait(browser: webdriver.Chrome, until: Callable[[], Any]) -> Any:
    return WebDriverWait(browser, _PATIENCE, poll_frequency=0.1).until(lambda _: until())


def _drop(page: webdriver.Chrome, where: str, *dropped: Path) -> None:
    page.find_element(By.CSS_SELECTOR, f"#{where} input[type=file]").send_keys("\n".join(map(str, dropped)))


def _text(page: webdriver.Chrome, where: str) -> str:
    return str(page.execute_script("return document.getElementById(arguments[0])?.innerText ?? ''", where))


def _quick(page: webdriver.Chrome) -> None:
    """Take the example, with the fewest pictures and steps."""
    _drop(page, "lora", DEMO / "adapter.safetensors")
    _drop(page, "photos", *sorted((DEMO / "photos").iterdir()))
    _wait(page, lambda: "rank" in _text(page, "told") and "photo-5" in _text(page, "photos"))
    page.find_element(By.CSS_SELECTOR, ".label-wrap").send_keys(Keys.ENTER)
    for slider in ("images", "steps"):
        number = _wait(page, lambda slider=slider: page.find_elements(By.CSS_SELECTOR, f"#{slider} input[type=number]"))[0]
        number.send_keys(Keys.CONTROL, "a")
        number.send_keys("2", Keys.TAB)


def test_a_visitor_audits_a_file_and_leaves_nothing(served: Served, page: webdriver.Chrome) -> None:
    """From the file to the report, on a narrow screen; start is pressed with the keyboard."""
    _quick(page)
    page.find_element(By.ID, "start").send_keys(Keys.ENTER)
    _wait(page, lambda: " left" in _text(page, "going"))
    _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#so-far img"))
    frame = _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "iframe.report"))[0]
    assert not page.find_elements(By.CSS_SELECTOR, "#so-far img")
    assert "Strangers" in frame.get_attribute("srcdoc") and frame.get_attribute("sandbox") == ""
    page.find_element(By.ID, "scrub").click()
    _wait(page, lambda: "Removed" in _text(page, "cleaned"))
    addresses = [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "#going a, #cleaned a")]
    assert len(addresses) == 4
    assert json.loads(urlopen(addresses[1]).read())["schema"] == "loraleak.report/1"
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert serious_faults(page) == []
    assert [url for url in asked_for(page) if not url.startswith((served.address, "data:", "blob:", "about:"))] == []
    page.get("about:blank")
    _wait(page, lambda: not served.left())
    with pytest.raises(HTTPError, match="HTTP Error 40"):
        urlopen(addresses[1])


def _tab_to(page: webdriver.Chrome, where: str) -> list[str]:
    """Press the tabulator until the focus is in an element. Gives the elements with a name that it came by."""
    passed: list[str] = []
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        inside = page.execute_script(
            "const ids = []; for (let e = document.activeElement; e; e = e.parentElement) if (e.id) ids.push(e.id); return ids"
        )
        passed += [one for one in inside if one not in passed]
        if where in inside:
            return passed
    raise AssertionError(f"the keyboard does not reach {where}: {passed}")


def test_an_audit_is_started_and_cancelled_with_the_keyboard_alone(page: webdriver.Chrome) -> None:
    passed = [
        name for name in _tab_to(page, "example") if name in ("lora", "photos", "base", "prompt", "start", "stop", "example")
    ]
    assert passed == ["lora", "photos", "base", "prompt", "start", "stop", "example"]
    ActionChains(page).send_keys(Keys.ENTER).perform()
    _wait(page, lambda: "rank" in _text(page, "told") and "photo-5" in _text(page, "photos"))
    page.execute_script("document.activeElement.blur(); window.getSelection().removeAllRanges(); scrollTo(0, 0)")
    _tab_to(page, "start")
    ActionChains(page).send_keys(Keys.ENTER).perform()
    _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#going progress"))
    _tab_to(page, "stop")
    ActionChains(page).send_keys(Keys.ENTER).perform()
    _wait(page, lambda: "The audit was cancelled." in _text(page, "going"))


def test_two_visitors_wait_for_each_other_and_see_nothing_of_each_other(
    served: Served, page: webdriver.Chrome, tmp_path: Path
) -> None:
    mine = tmp_path / "second-visitor.safetensors"
    save_file({"x": torch.zeros(1)}, mine, {"ss_output_name": "jane doe"})
    _quick(page)
    page.find_element(By.ID, "start").click()
    _wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#going progress"))
    first = page.current_window_handle
    page.switch_to.new_window("tab")
    page.get(served.address)
    _wait(page, lambda: page.find_elements(By.ID, "start"))
    assert _text(page, "told") == "" and "photo-5" not in _text(page, "photos")
    _drop(page, "lora", mine)
    _drop(page, "photos", *sorted((DEMO / "photos").iterdir()))
    _wait(page, lambda: "jane doe" in _text(page, "told") and "photo-5" in _text(page, "photos"))
    page.find_element(By.ID, "start").click()
    _wait(page, lambda: "queue: 1/1" in _text(page, "going"))
    assert mine.name in {file.name for file in served.left()}
    page.close()
    page.switch_to.window(first)
    _wait(page, lambda: mine.name not in {file.name for file in served.left()})
    assert "adapter.safetensors" in {file.name for file in served.left()}
    page.find_element(By.ID, "stop").click()
    _wait(page, lambda: "The audit was cancelled." in _text(page, "going"))


def test_two_files_stand_side_by_side(page: webdriver.Chrome, tmp_path: Path) -> None:
    tensors = load_file(DEMO / "adapter.safetensors")
    named = tmp_path / "named.safetensors"
    save_file(tensors, named, {"ss_dataset_dirs": '{"10_jane <img src=x>": {"n_repeats": 10, "img_count": 4}}'})
    page.find_elements(By.CSS_SELECTOR, "button[role=tab]")[1].click()
    for place, file in (("before", named), ("after", DEMO / "adapter.safetensors")):
        _wait(page, lambda place=place: page.find_elements(By.CSS_SELECTOR, f"#{place} input[type=file]"))
        _drop(page, place, file)
        _wait(page, lambda place=place, file=file: file.stem in _text(page, place))
    page.find_element(By.ID, "compare").click()
    told = _wait(page, lambda: "tensors" in _text(page, "compared") and _text(page, "compared"))
    assert f"the same {len(tensors)} tensors, bit by bit" in told and "jane <img src=x>" in told
    assert page.find_elements(By.CSS_SELECTOR, "#compared img") == []
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert serious_faults(page) == []


def test_a_hostile_file_is_one_line(page: webdriver.Chrome, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.safetensors"
    hostile.write_bytes(b"\x80\x04}.")
    _drop(page, "lora", hostile)
    _wait(page, lambda: "pickle" in _text(page, "told"))
    assert page.find_elements(By.CSS_SELECTOR, "#told img, #told script") == []
    page.find_element(By.ID, "start").click()
    _wait(page, lambda: "drop a LoRA file and the photos" in _text(page, "going"))


def test_other_machines_need_the_token_and_large_files_are_refused(tmp_path: Path) -> None:
    with _served(tmp_path, "--host", "0.0.0.0", "--max-upload-mb", "1") as served:
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{served.address}config")
        visitor = build_opener(HTTPCookieProcessor())
        for given, status in (("wrong", 400), (served.token, 200)):
            form = urlencode({"username": "anyone", "password": given}).encode()
            assert _status(visitor, Request(f"{served.address}login", form)) == status
        for size, status in ((2**21, 413), (2**19, 200)):
            assert _status(visitor, _upload(served.address, bytes(size))) == status


def _status(visitor: OpenerDirector, request: Request) -> int:
    try:
        return int(visitor.open(request).status)
    except HTTPError as error:
        return error.code


def _upload(address: str, content: bytes) -> Request:
    head = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.safetensors"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=cut"}
    return Request(f"{address}gradio_api/upload", head + content + b"\r\n--cut--\r\n", kind)
