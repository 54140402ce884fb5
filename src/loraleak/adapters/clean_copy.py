"""A copy of a file without private metadata, its tensors bit by bit the same: at the level of the container, whatever the layout."""

import errno
import json
import os
import shutil
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from loraleak.adapters.container import Container, read_container, refuse
from loraleak.adapters.header import header_findings, trigger_words
from loraleak.adapters.layouts.peft import CONFIG, WEIGHTS, config_table
from loraleak.adapters.opening import locate
from loraleak.adapters.public import public_metadata
from loraleak.bulk import each
from loraleak.errors import AdapterError, LoraleakError, UsageError, of_system
from loraleak.files import followed, replacing, replacing_folder, write_text
from loraleak.findings import Severity
from loraleak.outputs import check_new, check_room
from loraleak.untrusted import printable

__all__ = [
    "Copying",
    "Removed",
    "Scrubbed",
    "backed_up",
    "check_copy",
    "clean_start",
    "fingerprints",
    "remarks",
    "removals",
    "scrub_header",
    "scrub_in_place",
    "scrub_many",
]

Fingerprint = tuple[str, tuple[int, ...], str]

_MAX_CONFIG_BYTES = 2**20
_CHUNK = 2**22


@dataclass(frozen=True)
class Removed:
    """A field that the copy does not have."""

    field: str
    severity: Severity | None
    """Severity of what it gave away; None where it told nothing."""


@dataclass(frozen=True)
class Scrubbed:
    """What scrubbing did."""

    removed: tuple[Removed, ...]
    kept: tuple[str, ...]
    """Fields that the copy still has."""
    remarks: tuple[str, ...]
    """What still gives something away, because tensors are called so, or stands beside; one sentence each."""
    tensors: int
    sha256_before: str
    sha256_after: str
    """Both of the file with the weights."""


def scrub_header(
    path: str | Path, out: str | Path, keep: Collection[str] = (), replaced: Mapping[str, str] | None = None
) -> Scrubbed:
    """Write a copy whose header has only the fields that loaders need; PEFT's `adapter_config.json` is treated alike.

    The copy is written beside its name, read again, and renamed only if every tensor has the name, type, shape and bytes that it had.
    An adapter that needs its `adapter_config.json` becomes a folder, any other a file. Fields in `replaced` get that value.
    Raises: AdapterError, if the file cannot be used; UsageError, if `out` cannot hold it or `keep` names a field that is not there.
    """
    file, out = locate(Path(path)), followed(Path(out))
    before = read_container(file)
    config = _config_beside(file, before)
    metadata = {**before.metadata, **config}
    kept, removed = public_metadata(metadata, keep, replaced)
    if config and out.exists() and not out.is_dir():
        fault = f"it is a file, but this adapter needs its {CONFIG} beside it"
        raise UsageError(fault, path=out, remedy="give the name of a folder")
    if not config and out.is_dir():
        fault = "it is a folder, but this adapter is one file"
        raise UsageError(fault, path=out, remedy="give a name that ends in .safetensors")
    prints, sha256_before = fingerprints(before), before.sha256
    del before  # large, and the copy is read too
    header = {field: value for field, value in kept.items() if field not in config}
    with replacing(out / WEIGHTS if config else out) as partial:
        sha256_after = _copy(file, partial, header, sha256_before, prints)
        if config:
            write_text(out / CONFIG, f"{kept[CONFIG]}\n")
    return Scrubbed(
        removed=removals(metadata, removed),
        kept=tuple(sorted(kept)),
        remarks=remarks(prints, file, folder=Path(path).is_dir()),
        tensors=len(prints),
        sha256_before=sha256_before,
        sha256_after=sha256_after,
    )


@dataclass(frozen=True)
class Copying:
    """One file of many that are scrubbed."""

    file: Path
    out: Path | None
    """The copy; None to write over the file, with a backup beside."""
    keep: Collection[str] = ()
    replaced: Mapping[str, str] | None = None
    overwrite: bool = False

    @property
    def backup(self) -> Path | None:
        return None if self.out is not None else self.file.with_name(f"{self.file.name}.backup")


def scrub_many(tasks: Iterable[Copying], *, workers: int = 1) -> Iterator[tuple[Copying, Scrubbed | str]]:
    """Scrub many files, in worker processes: each with what was done, or with one line that says why it cannot be used."""
    return each(_scrub_one, tasks, workers=workers, broken=_ended)


def _ended(task: Copying) -> Scrubbed | str:
    return f"cannot use {printable(str(task.file), 400)}: copying it ended the process: try it alone"


def _scrub_one(task: Copying) -> Scrubbed | str:
    try:
        if task.out is not None:
            check_new(task.out, folder=None, overwrite=task.overwrite, room=task.file.stat().st_size)
            return scrub_header(task.file, task.out, task.keep, task.replaced)
        return scrub_in_place(task.file, lambda: scrub_header(task.file, task.file, task.keep, task.replaced))[0]
    except LoraleakError as fault:
        return str(fault)
    except OSError as fault:
        return str(of_system(fault))


def scrub_in_place(path: Path, write: Callable[[], Scrubbed]) -> tuple[Scrubbed, Path]:
    """Write over a file or folder, with a backup beside. Gives what was done, with where the old content stays, and the backup.

    Raises: AdapterError, if the file cannot be used; OutputError, if the disk has no room; UsageError, if a backup is there already.
    """
    told = _left_elsewhere(path)
    with backed_up(path) as backup:
        check_room(path, locate(path).stat().st_size)
        done = write()
    return replace(done, remarks=(*done.remarks, *told)), backup


@contextmanager
def backed_up(path: str | Path) -> Iterator[Path]:
    """Context in which the file or folder may be written over. Its backup is `<name>.backup` beside.

    The backup is the file itself under a second name: no copy of it can be left half written, and a full disk has room for it. Where
    the disk knows no second names, it is a copy that is its owner's alone. If nothing was written over, it is taken away again.
    Raises: AdapterError, if the file cannot be used; UsageError, if a backup is there already.
    """
    path = followed(Path(path))
    file = locate(path)
    before = read_container(file).sha256
    backup = path.with_name(f"{path.name}.backup")
    kept = backup / file.name if path.is_dir() else backup
    if backup.exists() and not (path.is_file() and backup.samefile(path)):  # the same where an earlier run was killed
        fault = "it is there already and is not overwritten"
        raise UsageError(fault, path=backup, remedy="move it away, or write elsewhere with -o")
    if path.is_dir():
        with replacing_folder(backup) as partial:
            shutil.copytree(path, partial, copy_function=_second_name)
    elif not backup.exists():
        _second_name(path, backup)
    try:
        yield backup
    except BaseException:
        if file.samefile(kept) or sha256(file.read_bytes()).hexdigest() == before:
            if backup.is_dir():
                shutil.rmtree(backup)
            else:
                backup.unlink()
        raise


def _left_elsewhere(path: Path) -> tuple[str, ...]:
    """Where the old content stays if a file is written over: other names of the file (hard links); one sentence each.

    A symbolic link is told of too, because what it leads to is written over. A backup is no other name.
    """
    file = locate(followed(path))
    if not file.is_file():
        return ()
    told = []
    backup = file.with_name(f"{file.name}.backup")
    others = file.stat().st_nlink - 1 - (backup.exists() and backup.samefile(file))
    if others:
        names = f"{others} other name{'' if others == 1 else 's'}"
        told.append(f"The old file has {names} (hard links), with the private header still in it: delete them too")
    if path.is_symlink():
        told.append(f"{printable(str(path), 400)} is a link: {printable(str(followed(path)), 400)} was scrubbed")
    return tuple(told)


def _second_name(file: str | Path, name: str | Path) -> None:
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST):
            raise
        with replacing(Path(name), mode=0o600) as partial:
            shutil.copyfile(file, partial)


def removals(metadata: Mapping[str, str], names: Collection[str]) -> tuple[Removed, ...]:
    """What was removed, with the severity of what it gave away, the worst first."""
    found = []
    for name in names:
        field = name if name in metadata else name.partition(": ")[0]
        findings = header_findings({field: metadata[field]})
        found.append(Removed(name, findings[0].severity if findings else None))
    order = ("critical", "high", "medium", None)
    return tuple(sorted(found, key=lambda removed: (order.index(removed.severity), removed.field)))


def remarks(tensors: Collection[str], file: Path, *, folder: bool) -> tuple[str, ...]:
    """What scrubbing a header does not reach: trigger words in tensors' names, the file's own name, files beside."""
    found = [
        f"Tensors are named after a trigger word, {printable(word, 60)}: rename it before training"
        for word in trigger_words(tensors)
    ]
    if folder:
        others = sorted(f.name for f in file.parent.iterdir() if f.name not in (file.name, CONFIG))
        if others:
            shown = ", ".join(printable(name, 40) for name in others[:6])
            found.append(f"Not looked at: {shown}{' and more' if len(others) > 6 else ''}, which stand in the same folder")
    return tuple(found)


def _config_beside(file: Path, container: Container) -> dict[str, str]:
    """PEFT's configuration, where the layout needs it for the scale."""
    beside = file.with_name(CONFIG)
    if not beside.is_file() or not any(name.startswith("base_model.model.") for name in container.tensors):
        return {}
    if beside.stat().st_size > _MAX_CONFIG_BYTES:
        refuse(beside, [f"it is larger than {_MAX_CONFIG_BYTES >> 20} MiB"], "export the adapter again")
    try:
        text = beside.read_text("utf-8")
        config_table(text)
    except (OSError, ValueError):
        refuse(beside, ["it is no readable JSON object"], "export the adapter again, or remove that file")
    return {CONFIG: text}


def _copy(file: Path, out: Path, metadata: Mapping[str, str], sha256_before: str, prints: Mapping[str, Fingerprint]) -> str:
    """Write a copy with another header, and read it back. Returns its SHA-256.

    Raises: AdapterError, if it does not hold the tensors that it was made from.
    """
    with file.open("rb") as source, out.open("wb") as copy:
        old = source.read(8)
        old += source.read(struct.unpack("<Q", old)[0])
        seen = sha256(old)
        copy.write(_start(old, metadata))
        while chunk := source.read(_CHUNK):
            seen.update(chunk)
            copy.write(chunk)
    if seen.hexdigest() != sha256_before:
        refuse(file, ["it changed while it was read"], "wait until it is written, then try again")
    return check_copy(file, prints, out)


def clean_start(file: Path, metadata: Mapping[str, str]) -> tuple[bytes, int]:
    """What a copy with these fields has before its tensors, and the place in the file where the tensors begin.

    A copy is these bytes and the file from that place on.
    """
    with file.open("rb") as source:
        old = source.read(8)
        old += source.read(struct.unpack("<Q", old)[0])
    return _start(old, metadata), len(old)


def check_copy(file: Path, prints: Mapping[str, Fingerprint], copy: Path) -> str:
    """The copy's SHA-256. Raises: AdapterError, if it does not hold the tensors of the file, of which these are the fingerprints."""
    held = read_container(copy)
    if fingerprints(held) != prints:
        fault = "its copy would not hold the tensors of the original bit by bit: nothing was written"
        raise AdapterError(fault, path=file, remedy="report this")
    return held.sha256


def _start(old: bytes, metadata: Mapping[str, str]) -> bytes:
    """The length and the JSON of a header that has these fields and the old one's tensors."""
    entries = json.loads(old[8:])
    entries.pop("__metadata__", None)
    text = json.dumps(
        {"__metadata__": dict(sorted(metadata.items())), **entries} if metadata else entries, separators=(",", ":")
    )
    data = text.encode()
    data += b" " * (-len(data) % 8)
    return struct.pack("<Q", len(data)) + data


def fingerprints(container: Container) -> dict[str, Fingerprint]:
    """Type, shape and digest of every tensor's bytes, by name."""
    tensors = container.tensors
    return {name: (tensors.dtype(name), tensors.shape(name), sha256(tensors.raw(name)).hexdigest()) for name in tensors}
