"""Visitors, and the files that are theirs. What a visitor brought or got is deleted when they leave."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from threading import Lock

from loraleak.web.running import Running

__all__ = ["Visit", "Visits"]


@dataclass
class Visit:
    """One visitor's place. Its folder has a name that nobody can guess."""

    folder: Path
    uploads: set[Path] = field(default_factory=set)
    """Files that the visitor brought."""
    running: Running | None = None
    """The visitor's audit, where one runs or waits."""

    def room(self, name: str) -> Path:
        """An empty folder."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place


class Visits:
    """All visitors who are there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_key: dict[str, Visit] = {}
        self._lock = Lock()

    def of(self, key: str, uploads: Iterable[str | None] = ()) -> Visit:
        """The visitor with this key, who may be new, and who brought these files."""
        with self._lock:
            visit = self._by_key.setdefault(key, Visit(self.root / token_hex(16)))
            visit.uploads |= {Path(file) for file in uploads if file}
            return visit

    def leave(self, key: str) -> None:
        """End the visitor's audit and delete the visitor's files. A file that another visitor brought too stays theirs."""
        with self._lock:
            visit = self._by_key.pop(key, None)
            if visit is None:
                return
            others = {file for other in self._by_key.values() for file in other.uploads}
        if visit.running is not None:
            visit.running.cancel()
        for file in visit.uploads - others:
            file.unlink(missing_ok=True)
        shutil.rmtree(visit.folder, ignore_errors=True)

    def end(self) -> None:
        """Let everybody leave."""
        for key in list(self._by_key):
            self.leave(key)
