"""Where results go: checked before the work starts, so that no work is lost to a place that cannot be written to.

A file or a folder that is there already is not replaced unless the user says so. A folder of a run has a marker, a list of what the
run wrote, so that two runs never mix in it.
"""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir, mkdtemp

from loraleak.errors import OutputError, of_system
from loraleak.files import PARTIAL, followed, write_json
from loraleak.untrusted import encodable

__all__ = ["LEAST_ROOM", "MARKER", "check_folder", "check_new", "check_room", "check_work", "run_folder", "save"]

MARKER = ".loraleak.json"
"""Name of the file in a run's folder that says which command wrote it, and which files."""

LEAST_ROOM = 2**20
"""Bytes that must be free where nobody knows how many are needed."""

_SCHEMA = "loraleak.run/1"
_OVERLOOKED = {".ds_store", "thumbs.db", "desktop.ini", "lost+found"}
_SHOWN = 3


def check_new(path: Path, *, folder: bool | None = False, overwrite: bool = False, room: int = LEAST_ROOM) -> None:
    """Check that a file can be written here; with `folder` a folder, or with None either. `room` is its size in bytes, where known.

    Raises: OutputError, if it is there already and is not to be replaced, if it is of another kind, or if there is no way to write.
    """
    target = followed(path)
    if target.is_dir() and folder is False:
        raise OutputError("it is a folder, and a file is wanted", path=path, remedy="give the name of a file in it")
    if target.exists() and not target.is_dir():
        if folder:
            raise OutputError("it is a file, and a folder is wanted", path=path, remedy="give the name of a folder")
        _refuse_devices(target, path)
    if target.exists() and not overwrite and not (target.is_dir() and not any(target.iterdir())):
        raise OutputError("it is there already", path=path, remedy="give another name, or --overwrite to replace it")
    _check_place(target.parent, path, target.name)
    check_room(path, room)


def check_folder(path: Path, command: str, *, overwrite: bool = False, room: int = LEAST_ROOM) -> None:
    """Check that a folder of this command's results can be written here: a new one, an empty one, or with `overwrite` its own.

    Raises: OutputError, if it holds something else, is no folder, or cannot be written.
    """
    target = followed(path)
    _check_work(target, path)
    if target.is_dir():
        run = _marker(target)
        if run is None:
            found = [entry.name for entry in target.iterdir() if not _overlooked(entry)]
            if found:
                shown = ", ".join(sorted(encodable(name) for name in found)[:_SHOWN])
                more = " and more" if len(found) > _SHOWN else ""
                raise OutputError(f"it holds other files ({shown}{more})", path=path, remedy="give a new or an empty folder")
        elif run.command != command:
            raise OutputError(f"it holds what `loraleak {run.command}` made", path=path, remedy="give another folder")
        elif not overwrite:
            raise OutputError(
                "it holds an earlier run", path=path, remedy="give another folder, or --overwrite to replace that run's files"
            )
    check_room(path, room)


def check_work(path: Path) -> None:
    """Check that a folder that a stopped run goes on from can be written to.

    Raises: OutputError, if it is no folder or cannot be written.
    """
    _check_work(followed(path), path)
    check_room(path, LEAST_ROOM)


def check_room(path: Path, room: int) -> None:
    """Check that the disk has so many bytes left. Raises: OutputError, if it has not."""
    free = shutil.disk_usage(_nearest(followed(path))).free
    if free < room:
        raise OutputError(
            f"about {_bytes(room)} are needed and {_bytes(free)} are free",
            path=path,
            remedy="free some space, or give another place",
        )


@contextmanager
def run_folder(path: Path, command: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Context with a private folder to write a run's results to. At the end they take their place, all of them, with the marker.

    With `overwrite`, an earlier run of the same command is replaced: what it alone wrote is removed, and files of others stay.
    Raises: OutputError, as `check_folder`; OSError, if writing fails. Nothing is left then.
    """
    check_folder(path, command, overwrite=overwrite)
    target = followed(path)
    there = target.is_dir()
    if not there:
        target.parent.mkdir(parents=True, exist_ok=True)
    before, after = PARTIAL.split("*")
    beside = target if there else target.parent
    with TemporaryDirectory(prefix=f"{before}run.", suffix=after, dir=beside, ignore_cleanup_errors=True) as private:
        partial = Path(private) / target.name
        partial.mkdir()
        yield partial
        written = sorted(encodable(file.relative_to(partial).as_posix()) for file in partial.rglob("*") if file.is_file())
        if not there:
            _mark(partial, command, written)
            partial.replace(target)
            return
        earlier = run.files if (run := _marker(target)) else []
        _mark(target, command, sorted({*earlier, *written}))  # whoever is stopped now knows all of it as a run's
        for name in written:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).replace(target / name)
        _remove(target, set(earlier) - set(written))
        _mark(target, command, written)


def save(path: Path, write: Callable[[Path], None]) -> None:
    """Write a finished result. Where its place fails now, a folder of its own in the system's temporary folder takes it.

    Raises: OutputError, which names that folder, so that no work is lost; OSError, if that fails too.
    """
    try:
        write(path)
    except (OSError, OutputError) as error:
        try:
            fallback = Path(mkdtemp(prefix="loraleak-", dir=gettempdir())) / (path.name or "result")
            write(fallback)
        except OSError:
            raise error from None
        fault = of_system(error) if isinstance(error, OSError) else error
        raise OutputError(
            *fault.faults, path=path, remedy=f"the result is kept in {fallback}: move it where you want it"
        ) from error


def _check_work(target: Path, path: Path) -> None:
    if os.path.lexists(target) and not target.is_dir():
        raise OutputError("it is a file, and a folder is wanted", path=path, remedy="give the name of a folder")
    _check_place(target, path, "probe")


def _check_place(folder: Path, path: Path, name: str) -> None:
    """Try to write. Permissions alone do not tell: of read-only disks, quotas, names that are too long."""
    there = _nearest(folder)
    before, after = PARTIAL.split("*")
    try:
        if not there.is_dir():
            raise OutputError(
                f"{encodable(str(there))} is a file, so nothing can be in it", path=path, remedy="give another place"
            )
        with TemporaryDirectory(prefix=before, suffix=after, dir=there) as probe:
            for part in (name, *folder.relative_to(there).parts):
                Path(probe, part).mkdir()
    except OSError as error:
        fault = of_system(error)
        raise OutputError(f"it cannot be written ({fault.faults[0]})", path=path, remedy=fault.remedy) from error


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _refuse_devices(target: Path, path: Path) -> None:
    if not stat.S_ISREG(target.stat().st_mode):
        raise OutputError("it is a device or a pipe, and a file is wanted", path=path, remedy="give the name of a file")


@dataclass(frozen=True)
class _Run:
    command: str
    files: list[str]


def _marker(folder: Path) -> _Run | None:
    """The run that a folder's marker tells of; None where there is no marker that can be read."""
    try:
        told = json.loads((folder / MARKER).read_text("utf-8"))
        known = told["schema"] == _SCHEMA and all(_is_inside(name) for name in told["files"])
        return _Run(str(told["command"]), list(told["files"])) if known else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _is_inside(name: str) -> bool:
    """Whether a name leads into the folder. Whoever made the marker may have been a stranger."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _mark(folder: Path, command: str, files: list[str]) -> None:
    write_json(folder / MARKER, {"schema": _SCHEMA, "command": command, "files": files})


def _remove(folder: Path, names: set[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for home in sorted({parent for name in names for parent in Path(name).parents if parent != Path(".")}, reverse=True):
        if (folder / home).is_dir() and not any((folder / home).iterdir()):
            (folder / home).rmdir()


def _overlooked(entry: Path) -> bool:
    return entry.name.lower() in _OVERLOOKED or entry.match(PARTIAL)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.2g} MB" if count < 1e7 else f"{count / 1e6:.0f} MB"
