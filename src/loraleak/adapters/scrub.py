"""A copy of a file without private metadata, its tensors bit by bit the same: at the level of the container, whatever the layout."""

import json
import os
import re
import shutil
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from loraleak.adapters.container import Container, printable, read_container, refuse
from loraleak.adapters.header import header_findings
from loraleak.adapters.load import locate
from loraleak.adapters.peft import CONFIG, WEIGHTS
from loraleak.adapters.public import public_metadata
from loraleak.errors import AdapterError, UsageError
from loraleak.types import Severity

__all__ = ["Removed", "Scrubbed", "back_up", "remarks", "removals", "scrub_header"]

_MOST_CONFIG_BYTES = 2**20
_TRIGGERS = re.compile(r"(<(?P<token>[^>]+)>|bundle_emb\.(?P<name>.+?)\.(string_to_param\..+|clip_.+|\w+))")


@dataclass(frozen=True)
class Removed:
    """A field that the copy does not have."""

    field: str
    severity: Severity | None
    """Of what it gave away; None where it told nothing."""


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


def scrub_header(path: str | Path, out: str | Path, keep: Collection[str] = ()) -> Scrubbed:
    """Write a copy whose header has only the fields that loaders need; PEFT's `adapter_config.json` is treated alike.

    The copy is written beside its name, read again, and renamed only if every tensor has the name, type, shape and bytes that it had.
    An adapter that needs its `adapter_config.json` becomes a folder, any other a file.
    Raises: AdapterError, if the file cannot be used; UsageError, if `out` cannot hold it or `keep` names a field that is not there.
    """
    file, out = locate(Path(path)), Path(out)
    before = read_container(file)
    config = _config_beside(file, before)
    metadata = {**before.metadata, **config}
    kept, removed = public_metadata(metadata, keep)
    if config and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, but this adapter needs its {CONFIG} beside it: give the name of a folder")
    if not config and out.is_dir():
        raise UsageError(f"{out} is a folder, but this adapter is one file: give a name that ends in .safetensors")
    header = {field: value for field, value in kept.items() if field not in config}
    target = out / WEIGHTS if config else out
    data = _with_header(file, before, header)
    if config:
        _write(target.with_name(CONFIG), kept[CONFIG].encode() + b"\n")
    _write(target, data, before)
    return Scrubbed(
        removed=removals(metadata, removed),
        kept=tuple(sorted(kept)),
        remarks=remarks(before.tensors, file, folder=Path(path).is_dir()),
        tensors=len(before.tensors),
        sha256_before=before.sha256,
        sha256_after=sha256(data).hexdigest(),
    )


def back_up(path: Path) -> Path:
    """Copy a file or folder as `<name>.backup` beside itself. Raises: UsageError, if that is there already."""
    copy = path.with_name(f"{path.name}.backup")
    if copy.exists():
        raise UsageError(f"{copy} is there already and is not overwritten: move it away, or write elsewhere with -o")
    partial = copy.with_name(f".{copy.name}.{os.getpid()}.partial")
    if path.is_dir():
        shutil.copytree(path, partial)
    else:
        shutil.copy2(path, partial)
    return partial.rename(copy)


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
    words = {match["token"] or match["name"] for name in tensors if (match := _TRIGGERS.fullmatch(name))}
    found = [
        f"Tensors are named after a trigger word, {printable(word, 60)}: rename it before training" for word in sorted(words)
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
    if beside.stat().st_size > _MOST_CONFIG_BYTES:
        refuse(beside, [f"it is larger than {_MOST_CONFIG_BYTES >> 20} MiB"], "export the adapter again")
    try:
        text = beside.read_text("utf-8")
        json.loads(text)
    except (OSError, ValueError, RecursionError):
        refuse(beside, ["it is no readable JSON"], "export the adapter again, or remove that file")
    return {CONFIG: text}


def _with_header(file: Path, container: Container, metadata: Mapping[str, str]) -> bytes:
    """The file's bytes with these fields: what follows the header is copied as it is."""
    data = file.read_bytes()
    if sha256(data).hexdigest() != container.sha256:
        refuse(file, ["it changed while it was read"], "wait until it is written, then try again")
    size = struct.unpack("<Q", data[:8])[0]
    entries = json.loads(data[8 : 8 + size])
    entries.pop("__metadata__", None)
    header = {"__metadata__": dict(sorted(metadata.items())), **entries} if metadata else entries
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def _write(path: Path, data: bytes, proven: Container | None = None) -> None:
    """Beside, then renamed; a file of weights only if it reads back as the tensors that it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        if proven is not None and not _same(proven.tensors, read_container(partial).tensors):
            raise AdapterError(
                f"{path} would not hold the tensors of the original bit by bit: nothing was written; report this"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _same(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> bool:
    return before.keys() == after.keys() and all(
        t.dtype == after[name].dtype and t.shape == after[name].shape and torch.equal(_bits(t), _bits(after[name]))
        for name, t in before.items()
    )


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)
