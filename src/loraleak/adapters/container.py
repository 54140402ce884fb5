"""Bounded reading of one safetensors file: every cap is checked on the header, and each tensor is read only when it is asked for."""

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from loraleak.adapters.file_kinds import GIVE_SAFETENSORS, kind_of
from loraleak.errors import AdapterError
from loraleak.untrusted import printable

if TYPE_CHECKING:
    import numpy

__all__ = ["Container", "Tensors", "read_container", "refuse"]

_MAX_BYTES = 8 * 2**30
_MAX_HEADER_BYTES = 16 * 2**20
_LONGER_THAN_ANY_FILE = 2**48
"""What eight bytes of text come to as a number, at least."""
_MAX_TENSORS = 20_000
_MAX_FIELDS = 20_000
_MAX_DIMENSIONS = 8
_MAX_NAME_LENGTH = 512
_BITS = {
    **{"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "C64": 64},
    **{"I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8},
    **{"F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
"""Bits of a number, for all types of the format. Tensors of all of them can be copied; `numbers` tells which are read."""

_FETCH_AGAIN = "download or export it again"


class Tensors:
    """The tensors of a checked file by name; each access reads one of them, so that a large file needs little memory.

    Numbers come in the type of the file; bfloat16 and float8 come as float32, which holds them exactly.

    Raises: AdapterError on access, if the tensor holds NaN, infinity or numbers of a type that is not read, or if the file has become
    shorter.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], start: int) -> None:
        self._path = path
        self._header = header
        self._start = start

    def __getitem__(self, name: str) -> "numpy.ndarray":
        from loraleak.adapters.numbers import READ, numbers_of

        dtype = self.dtype(name)
        if dtype not in READ:
            fault = f"{printable(name)} has the dtype {dtype}, not one of {', '.join(READ)}"
            refuse(self._path, [fault], "export it in float16 or bfloat16")
        numbers = numbers_of(self.raw(name), dtype)
        if numbers is None:
            refuse(
                self._path, [f"{printable(name)} holds NaN or infinity"], "export it from a training step before it diverged"
            )
        return numbers.reshape(self.shape(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._header)

    def __len__(self) -> int:
        return len(self._header)

    def keys(self) -> KeysView[str]:
        return self._header.keys()

    def raw(self, name: str) -> bytes:
        """Bytes as stored, of any type and any value. Raises: AdapterError, if the file has become shorter."""
        first, last = self._header[name]["data_offsets"]
        with self._path.open("rb") as file:
            file.seek(self._start + first)
            data = file.read(last - first)
        if len(data) != last - first:
            refuse(self._path, [f"it changed while it was read: {printable(name)} is cut"], _FETCH_AGAIN)
        return data

    def dtype(self, name: str) -> str:
        """Type in the words of the format: `F16`, `BF16`, `F8_E4M3`, `I64`."""
        return str(self._header[name]["dtype"])

    def shape(self, name: str) -> tuple[int, ...]:
        """Size, told without reading the tensor."""
        return tuple(self._header[name]["shape"])


@dataclass(frozen=True)
class Container:
    """What one file holds, as stored."""

    tensors: Tensors
    metadata: dict[str, str]
    """The header's own fields: hostile until escaped."""
    sha256: str
    """Hash of the file's bytes."""


def read_container(path: Path) -> Container:
    """Open a safetensors file within caps: header 16 MiB, 20,000 fields and as many tensors, 8 dimensions.

    Raises: AdapterError, naming the file's faults in one line, if it is missing, no safetensors, damaged or beyond a cap. Pickles are
    refused, never loaded.
    """
    length = _length(path)
    try:
        with path.open("rb") as file:
            size = _header_size(path, file, length)
            header = _header(path, file.read(size))
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse(path, [f"it cannot be read ({error.strerror})"], "check its permissions")
    metadata = _metadata(path, header.pop("__metadata__", None))
    if len(header) > _MAX_TENSORS:
        refuse(path, [f"it has {len(header)} tensors, more than {_MAX_TENSORS}"], "give a LoRA, not a whole model")
    faults = [f"{printable(name)} {fault}" for name, entry in header.items() if (fault := _entry_fault(name, entry))]
    if faults:
        refuse(path, faults, "give a LoRA that a current tool exported")
    _check_offsets(path, header, length - 8 - size)
    _check_with_library(path)
    return Container(tensors=Tensors(path, header, 8 + size), metadata=metadata, sha256=sha256)


def refuse(path: Path, faults: Sequence[str], remedy: str) -> NoReturn:
    """Raises: AdapterError, always; what led to it is not shown."""
    raise AdapterError(*faults, path=path, remedy=remedy) from None


def _length(path: Path) -> int:
    if not path.exists():
        refuse(path, ["no such file"], "give the path of a .safetensors file or of a PEFT folder")
    if not path.is_file():
        refuse(path, ["it is not a file"], GIVE_SAFETENSORS)
    length = path.stat().st_size
    if length > _MAX_BYTES:
        refuse(path, [f"it is larger than {_MAX_BYTES >> 30} GiB"], "give a LoRA, not a whole model")
    if not length:
        refuse(path, ["it is empty"], _FETCH_AGAIN)
    return length


def _header_size(path: Path, file: BinaryIO, length: int) -> int:
    """Length of the JSON text, before which the file is left standing."""
    start = file.read(256)
    file.seek(8)
    size: int = struct.unpack("<Q", start[:8])[0] if len(start) > 8 else 0
    # The first byte of a sound file may be that of a pickle or of text: what counts is the header that follows.
    if start[8:9] != b"{" or size >= _LONGER_THAN_ANY_FILE:
        kind = kind_of(start)
        refuse(path, [f"it is {kind.words}"], kind.remedy)
    if size > _MAX_HEADER_BYTES:
        refuse(path, [f"its header claims {size} bytes, more than {_MAX_HEADER_BYTES >> 20} MiB"], GIVE_SAFETENSORS)
    if size > length - 8:
        refuse(path, [f"it is truncated: its header has {length - 8} of {size} bytes"], _FETCH_AGAIN)
    return size


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
    if len(metadata) > _MAX_FIELDS:
        refuse(path, [f"its __metadata__ has {len(metadata)} fields, more than {_MAX_FIELDS}"], _FETCH_AGAIN)
    return metadata


def _entry_fault(name: str, entry: Any) -> str:
    if len(name) > _MAX_NAME_LENGTH:
        return f"has a name of more than {_MAX_NAME_LENGTH} characters"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return "is not described by dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        return f"has the dtype {printable(str(dtype), 20)}, not one of {', '.join(_BITS)}"
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        return "has a shape or offsets that are no whole numbers"
    if len(shape) > _MAX_DIMENSIONS:
        return f"has {len(shape)} dimensions, more than {_MAX_DIMENSIONS}"
    if 0 in shape:
        return f"has a dimension of zero: {shape}"
    if 8 * (offsets[1] - offsets[0]) != math.prod(shape) * _BITS[dtype]:
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


def _check_with_library(path: Path) -> None:
    """A second opinion, of the format's own library. Only a page in the browser has no such library."""
    if find_spec("safetensors") is None:
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):
            pass
    except (SafetensorError, ValueError, OSError) as error:
        refuse(path, [f"safetensors cannot read it ({printable(str(error))})"], _FETCH_AGAIN)
