"""Worker processes and Ray tasks write the same bytes as a build in one process, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase
from loraleak.zoo.build import build_zoo
from loraleak.zoo.plan import ZooPlan
from loraleak.zoo.workers import Site, local_workers


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def _kill_one(found: Callable[[psutil.Process], bool], root: int, seconds: float = 150) -> bool:
    """SIGKILL the first descendant of `root` that is found."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for process in psutil.Process(root).children(recursive=True):
            try:
                if found(process):
                    process.send_signal(signal.SIGKILL)
                    return True
            except psutil.Error:
                continue
        time.sleep(0.02)
    return False


@pytest.fixture
def whole(plan: ZooPlan, people: Path, base: DiffusersBase, tmp_path: Path) -> Path:
    build_zoo(plan, people, tmp_path / "whole", base)
    return tmp_path / "whole"


def test_a_killed_worker_is_replaced(
    plan: ZooPlan, people: Path, base: DiffusersBase, pipeline_folder: Path, tmp_path: Path, whole: Path
) -> None:
    site = Site(people, str(tmp_path / "zoo"), BaseSettings(str(pipeline_folder), device="cpu"))
    killed: list[bool] = []
    killer = threading.Thread(
        target=lambda: killed.append(_kill_one(lambda p: "spawn_main" in " ".join(p.cmdline()), os.getpid()))
    )
    killer.start()
    failures = build_zoo(plan, people, tmp_path / "zoo", base, builder=local_workers(site, 2))
    killer.join()
    assert killed == [True] and failures == []
    assert _bytes(tmp_path / "zoo") == _bytes(whole)


def test_a_killed_ray_worker_is_replaced(people: Path, pipeline_folder: Path, tmp_path: Path, whole: Path) -> None:
    facts = json.loads((whole / "zoo.json").read_text())["ranges"]
    for name in ("steps", "images", "ranks"):
        facts[name] = [str(value) for value in facts[name]]
    flags = [
        *("--ranks", *facts["ranks"], "--steps", *facts["steps"], "--images", *facts["images"]),
        *("--batch", "1", "--prior-batch", "1", "--class-count", "2", "--snapshots", "2", "--prior-share", "0.5"),
    ]
    command = [sys.executable, "-m", "loraleak", "zoo", "build", people, "--out", tmp_path / "zoo", "--base", pipeline_folder]
    with subprocess.Popen(
        [*map(str, command), "--seed", "1", "--together", "2", "--ray", "local", "--json", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        killed = _kill_one(lambda p: "ray::build_one" in " ".join(p.cmdline()), process.pid)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert killed and json.loads(out)["failed"] == []
    made, expected = _bytes(tmp_path / "zoo"), _bytes(whole)
    for folder in (made, expected):
        del folder["zoo.json"]  # which names the base by its path
    assert made == expected


def test_what_befalls_a_shard_in_a_worker_is_told(
    plan: ZooPlan, people: Path, base: DiffusersBase, pipeline_folder: Path, tmp_path: Path
) -> None:
    site = Site(people, str(tmp_path / "zoo"), BaseSettings(str(pipeline_folder), device="cpu"))
    blocked = tmp_path / "zoo" / "shards" / f"{plan.shards[0].name}.safetensors"
    blocked.mkdir(parents=True)
    failures = build_zoo(plan, people, tmp_path / "zoo", base, builder=local_workers(site, 1))
    assert {f.person for f in failures} == {a.person for a in plan.shards[0].adapters}
    assert all("its shard was not made" in f.reason for f in failures)
    blocked.rmdir()
    for _ in range(2):
        assert build_zoo(plan, people, tmp_path / "zoo", base, builder=local_workers(site, 1)) == []
