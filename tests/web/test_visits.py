"""Visitors and their files: what leaves with whom."""

from pathlib import Path

import pytest

from loraleak.auditing import AuditSettings
from loraleak.web.running import Cancelled, Job, Running
from loraleak.web.visits import Visits


@pytest.fixture
def visits(tmp_path: Path) -> Visits:
    return Visits(tmp_path / "visits")


def _upload(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    return str(folder / name)


def test_what_a_visitor_brought_and_got_leaves_with_them(visits: Visits, tmp_path: Path) -> None:
    mine, shared = _upload(tmp_path, "mine"), _upload(tmp_path, "shared")
    first, second = visits.of("first", [mine, shared]), visits.of("second", [shared, None])
    for visit in (first, second):
        (visit.room("report") / "report.html").write_text("private")
    assert visits.of("first") is first and first.folder != second.folder
    visits.leave("first")
    assert not Path(mine).exists() and not first.folder.exists()
    assert Path(shared).exists() and (second.folder / "report" / "report.html").exists()
    visits.end()
    assert not Path(shared).exists() and not second.folder.exists()


def test_an_audit_ends_with_its_visit_even_before_it_starts(visits: Visits, tmp_path: Path) -> None:
    running = Running(Job(tmp_path / "a.safetensors", tmp_path, tmp_path, AuditSettings()))
    visits.of("gone").running = running
    visits.leave("gone")
    assert list(running.events()) == [Cancelled()]


def test_a_room_is_empty_each_time(visits: Visits) -> None:
    visit = visits.of("one")
    (visit.room("photos") / "old.png").touch()
    assert list(visit.room("photos").iterdir()) == []
