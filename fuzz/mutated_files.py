"""Sound files with a few things changed, so that the container stays sound: names, types, shapes, numbers, fields."""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hostile_files import ENDINGS, PREFIXES, TEXTS, Choose

__all__ = ["mutated_file"]

_BITS = {
    "F64": 64,
    "F32": 32,
    "F16": 16,
    "BF16": 16,
    "I64": 64,
    "I32": 32,
    "I8": 8,
    "BOOL": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F4": 4,
}
_PATTERNS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x3c", b"\x00\x7c", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00")


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def mutated_file(data: bytes, choose: Choose) -> bytes | None:
    """The file with one to four changes; None if it is no sound one."""
    opened = _opened(data)
    if opened is None:
        return None
    tensors, fields = opened
    for _ in range(choose(1, 4)):
        if tensors and choose(0, 5):
            change = _CHANGES[choose(0, len(_CHANGES) - 1)]
            tensors = change(tensors, choose(0, len(tensors) - 1), choose)
        else:
            _change_fields(fields, choose)
    return _closed(tensors, fields)


def _opened(data: bytes) -> tuple[list[_Tensor], dict[str, Any]] | None:
    try:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        fields = dict(header.pop("__metadata__", {}))
        body = data[8 + size :]
        tensors = [
            _Tensor(name, entry["dtype"], tuple(entry["shape"]), body[slice(*entry["data_offsets"])])
            for name, entry in header.items()
        ]
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return tensors, fields


def _closed(tensors: list[_Tensor], fields: dict[str, Any]) -> bytes:
    header: dict[str, Any] = {"__metadata__": fields} if fields else {}
    body = bytearray()
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [len(body), len(body) + len(tensor.data)],
        }
        body += tensor.data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


def _resized(tensor: _Tensor, shape: tuple[int, ...], dtype: str) -> _Tensor:
    """The bytes repeated or cut to what the new shape and type need."""
    size = math.prod(shape) * _BITS.get(dtype, 8) // 8
    if size > 2**20:
        return tensor
    data = tensor.data or b"\x3c"
    return replace(tensor, shape=shape, dtype=dtype, data=(data * (size // len(data) + 1))[:size])


def _one(change: Callable[[_Tensor, Choose], _Tensor]) -> Callable[[list[_Tensor], int, Choose], list[_Tensor]]:
    return lambda tensors, at, choose: [*tensors[:at], change(tensors[at], choose), *tensors[at + 1 :]]


def _prefix(tensor: _Tensor, choose: Choose) -> _Tensor:
    old = next((prefix for prefix in PREFIXES if prefix and tensor.name.startswith(prefix)), "")
    return replace(tensor, name=PREFIXES[choose(0, len(PREFIXES) - 1)] + tensor.name[len(old) :])


def _ending(tensor: _Tensor, choose: Choose) -> _Tensor:
    old = next((ending for ending in ENDINGS if tensor.name.endswith(ending)), "")
    return replace(tensor, name=tensor.name[: len(tensor.name) - len(old)] + ENDINGS[choose(0, len(ENDINGS) - 1)])


def _number(tensor: _Tensor, choose: Choose) -> _Tensor:
    digits = [i for i, c in enumerate(tensor.name) if c.isdigit()] or [0]
    at = digits[choose(0, len(digits) - 1)]
    return replace(tensor, name=f"{tensor.name[:at]}{choose(0, 99)}{tensor.name[at + 1 :]}")


def _cut_name(tensor: _Tensor, choose: Choose) -> _Tensor:
    steps = tensor.name.replace("_", ".").split(".")
    at = choose(0, len(steps) - 1)
    sign = "._/ "[choose(0, 3)]
    return replace(tensor, name=sign.join(steps[:at] + steps[at + choose(0, 1) :]))


def _dtype(tensor: _Tensor, choose: Choose) -> _Tensor:
    return _resized(tensor, tensor.shape, list(_BITS)[choose(0, len(_BITS) - 1)])


def _shape(tensor: _Tensor, choose: Choose) -> _Tensor:
    sides = list(tensor.shape)
    kind = choose(0, 4)
    if kind == 0 or not sides:
        sides.insert(choose(0, len(sides)), (1, 1, 2, 3)[choose(0, 3)])
    elif kind == 1:
        del sides[choose(0, len(sides) - 1)]
    elif kind == 2:
        sides.reverse()
    else:
        at = choose(0, len(sides) - 1)
        sides[at] = max(0, (sides[at] + choose(-1, 1), sides[at] * choose(1, 4), sides[at] // choose(1, 4))[choose(0, 2)])
    return _resized(tensor, tuple(sides), tensor.dtype)


def _bytes(tensor: _Tensor, choose: Choose) -> _Tensor:
    pattern = _PATTERNS[choose(0, len(_PATTERNS) - 1)]
    if choose(0, 1):
        return replace(tensor, data=(pattern * (len(tensor.data) // len(pattern) + 1))[: len(tensor.data)])
    at = choose(0, max(0, len(tensor.data) - 1))
    return replace(tensor, data=(tensor.data[:at] + pattern + tensor.data[at + len(pattern) :])[: len(tensor.data)])


def _drop(tensors: list[_Tensor], at: int, choose: Choose) -> list[_Tensor]:
    return tensors[:at] + tensors[at + 1 :]


def _keep_few(tensors: list[_Tensor], at: int, choose: Choose) -> list[_Tensor]:
    return tensors[at : at + choose(1, 6)]


def _double(tensors: list[_Tensor], at: int, choose: Choose) -> list[_Tensor]:
    changed = (_prefix, _ending, _number, _cut_name)[choose(0, 3)](tensors[at], choose)
    return [*tensors, changed]


def _swap(tensors: list[_Tensor], at: int, choose: Choose) -> list[_Tensor]:
    other = choose(0, len(tensors) - 1)
    names = {at: tensors[other].name, other: tensors[at].name}
    return [replace(tensor, name=names.get(i, tensor.name)) for i, tensor in enumerate(tensors)]


def _everywhere(tensors: list[_Tensor], at: int, choose: Choose) -> list[_Tensor]:
    """One prefix, ending or type for another in all names, which makes another layout of the file."""
    which = choose(0, 2)
    if which == 0:
        new = PREFIXES[choose(0, len(PREFIXES) - 1)]
        old = next((prefix for prefix in PREFIXES if prefix and tensors[at].name.startswith(prefix)), "")
        return [replace(t, name=new + t.name[len(old) :]) if t.name.startswith(old) else t for t in tensors]
    if which == 1:
        new = ENDINGS[choose(0, len(ENDINGS) - 1)]
        old = next((ending for ending in ENDINGS if tensors[at].name.endswith(ending)), "")
        return [replace(t, name=t.name[: len(t.name) - len(old)] + new) if t.name.endswith(old) else t for t in tensors]
    dtype = list(_BITS)[choose(0, len(_BITS) - 1)]
    return [_resized(tensor, tensor.shape, dtype) for tensor in tensors]


_CHANGES: tuple[Callable[[list[_Tensor], int, Choose], list[_Tensor]], ...] = (
    *(_one(change) for change in (_prefix, _ending, _number, _cut_name, _dtype, _shape, _shape, _bytes)),
    *(_drop, _keep_few, _double, _swap, _everywhere, _everywhere),
)


def _change_fields(fields: dict[str, Any], choose: Choose) -> None:
    names = list(fields) if fields and choose(0, 1) else _FIELDS
    name = names[choose(0, len(names) - 1)]
    value = str(fields.get(name, ""))
    at = choose(0, len(value))
    text = TEXTS[choose(0, len(TEXTS) - 1)]
    changed = (text, value[:at] + text + value[at:], value[:at] + value[at + 1 :], value.replace("1", "0"))
    fields[name] = changed[choose(0, len(changed) - 1)]


_FIELDS = [
    *("modelspec.architecture", "ss_base_model_version", "ss_network_module", "ss_network_args", "base_model", "model_type"),
    *(
        "lora_adapter_metadata",
        "ss_tag_frequency",
        "ss_datasets",
        "modelspec.thumbnail",
        "reference_downscale_factor",
        "format",
    ),
]
