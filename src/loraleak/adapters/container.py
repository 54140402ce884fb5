"""Bounded reading of one safetensors file: every cap is checked on the header before a tensor is touched."""

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from loraleak.errors import AdapterError

__all__ = ["Container", "printable", "read_container", "refuse"]

_MOST_BYTES = 8 * 2**30
_MOST_HEADER_BYTES = 16 * 2**20
_MOST_TENSORS = 20_000
_MOST_DIMENSIONS = 8
_MOST_WIDTH = 2**17
_LONGEST_NAME = 512
_BYTES_OF = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_FAULTS_SHOWN = 4

_FETCH_AGAIN = "download or export it again"
_GIVE_SAFETENSORS = "give the LoRA as a .safetensors file"


@dataclass(frozen=True)
class Container:
    """What one file holds, as stored."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    """The header's own fields: hostile until escaped."""
    sha256: str
    """Of the file's bytes."""


def read_container(path: Path) -> Container:
    """Read a safetensors file within caps: header 16 MiB, 20,000 tensors, 8 dimensions, width 2^17, finite F64, F32, F16 or BF16.

    Raises: AdapterError, naming the file's faults in one line, if it is missing, no safetensors, damaged or beyond a cap. Pickles are
    refused, never loaded.
    """
    data = _bytes(path)
    size = _header_size(path, data)
    header = _header(path, data[8 : 8 + size])
    metadata = _metadata(path, header.pop("__metadata__", None))
    if len(header) > _MOST_TENSORS:
        refuse(path, [f"it has {len(header)} tensors, more than {_MOST_TENSORS}"], "give a LoRA, not a whole model")
    faults = [f"{printable(name)} {fault}" for name, entry in header.items() if (fault := _entry_fault(name, entry))]
    if faults:
        refuse(path, faults, "give a LoRA that a current tool exported")
    _check_offsets(path, header, len(data) - 8 - size)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        refuse(path, [f"safetensors cannot read it ({printable(str(error))})"], _FETCH_AGAIN)
    broken = [f"{printable(name)} holds NaN or infinity" for name, t in tensors.items() if not torch.isfinite(t).all()]
    if broken:
        refuse(path, broken, "export it from a training step before it diverged")
    return Container(tensors=tensors, metadata=metadata, sha256=hashlib.sha256(data).hexdigest())


def printable(text: str, limit: int = 120) -> str:
    """Text from a file, fit for a terminal: control and format characters escaped, cut in the middle to about `limit` characters."""
    if len(text) > limit:
        text = f"{text[: limit * 2 // 3]}…{text[-(limit // 4) :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def refuse(path: Path, faults: Sequence[str], remedy: str) -> NoReturn:
    """Raises: AdapterError, always: the first few faults and the count of the others, with the remedy, in one line."""
    more = f" and {len(faults) - _FAULTS_SHOWN} more faults" if len(faults) > _FAULTS_SHOWN else ""
    shown = "; ".join(faults[:_FAULTS_SHOWN])
    raise AdapterError(f"cannot use {printable(str(path), 400)}: {shown}{more}: {remedy}") from None


def _bytes(path: Path) -> bytes:
    if not path.exists():
        refuse(path, ["no such file"], "give the path of a .safetensors file or of a PEFT folder")
    if not path.is_file():
        refuse(path, ["it is not a file"], _GIVE_SAFETENSORS)
    try:
        if path.stat().st_size > _MOST_BYTES:
            refuse(path, [f"it is larger than {_MOST_BYTES >> 30} GiB"], "give a LoRA, not a whole model")
        return path.read_bytes()
    except OSError as error:
        refuse(path, [f"it cannot be read ({error.strerror})"], "check its permissions")


def _header_size(path: Path, data: bytes) -> int:
    if not data:
        refuse(path, ["it is empty"], _FETCH_AGAIN)
    size: int = struct.unpack("<Q", data[:8])[0] if len(data) > 8 else 0
    # The first byte of a sound file may well be 0x80, so a pickle is one only where no header follows.
    if data[8:9] != b"{":
        if data.startswith((b"PK\x03\x04", b"\x80")):
            refuse(
                path,
                ["it is a pickle (.pt, .bin, .ckpt), which can run programs and is never opened"],
                "if you made it yourself, convert it where it was trained with"
                " `safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'lora.safetensors')`;"
                " else ask its author for a .safetensors file",
            )
        kind = "text" if _is_text(data[:256]) else "another kind of file"
        refuse(path, [f"it is no safetensors file but {kind}"], _GIVE_SAFETENSORS)
    if size > _MOST_HEADER_BYTES:
        refuse(path, [f"its header claims {size} bytes, more than {_MOST_HEADER_BYTES >> 20} MiB"], _GIVE_SAFETENSORS)
    if size > len(data) - 8:
        refuse(path, [f"it is truncated: its header has {len(data) - 8} of {size} bytes"], _FETCH_AGAIN)
    return size


def _is_text(start: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)


def _header(path: Path, raw: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise ValueError(f"{printable(twice)} stands there twice")
        return found

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except UnicodeDecodeError:
        refuse(path, ["its header is not UTF-8"], _FETCH_AGAIN)
    except json.JSONDecodeError as error:
        refuse(path, [f"its header is not JSON ({error.msg} at {error.pos})"], _FETCH_AGAIN)
    except ValueError as error:
        refuse(path, [f"its header is malformed: {error}"], _FETCH_AGAIN)
    except RecursionError:
        refuse(path, ["its header is nested too deeply"], _FETCH_AGAIN)
    if not isinstance(header, dict):
        refuse(path, ["its header is no JSON object"], _FETCH_AGAIN)
    return header


def _metadata(path: Path, metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        refuse(path, ["its __metadata__ is not a table of texts"], _FETCH_AGAIN)
    return metadata


def _entry_fault(name: str, entry: Any) -> str:
    if len(name) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} characters"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return "is not described by dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES_OF:
        return f"has the dtype {printable(str(dtype), 20)}, not one of {', '.join(_BYTES_OF)}"
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        return "has a shape or offsets that are no whole numbers"
    if len(shape) > _MOST_DIMENSIONS:
        return f"has {len(shape)} dimensions, more than {_MOST_DIMENSIONS}"
    if 0 in shape:
        return f"has a dimension of zero: {shape}"
    if max(shape, default=0) > _MOST_WIDTH:
        return f"is {max(shape)} wide, more than {_MOST_WIDTH}"
    if offsets[1] - offsets[0] != math.prod(shape) * _BYTES_OF[dtype]:
        return f"has the wrong offsets for {dtype} {shape}"
    return ""


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_offsets(path: Path, header: dict[str, Any], available: int) -> None:
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["data_offsets"][0] != end:
            refuse(
                path,
                [f"{printable(name)} has the wrong offsets: it overlaps its neighbour or leaves a hole"],
                _FETCH_AGAIN,
            )
        end = entry["data_offsets"][1]
    if end > available:
        refuse(path, [f"it is truncated: {available} of {end} bytes of tensors are there"], _FETCH_AGAIN)
    if end < available:
        refuse(path, [f"{available - end} bytes follow its last tensor"], _FETCH_AGAIN)
