"""JSON of a stranger as our dataclasses: every field is checked, and nothing is taken on trust."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from loraleak.untrusted import printable

__all__ = ["parsed"]

T = TypeVar("T")
_MOST = 10_000
"""Most entries of a list or table."""
_LONGEST = 10_000
"""Most characters of a text."""


def parsed(kind: type[T], value: object, where: str) -> T:
    """The value as a dataclass of this kind. Raises: ValueError, which names the field that is not as it should be."""
    made = _as(kind, value, where)
    assert isinstance(made, kind)
    return made


def _as(kind: Any, value: object, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else _as(next(one for one in inner if one is not type(None)), value, where)
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin is tuple:
        _check(isinstance(value, list) and len(value) <= _MOST, where)
        assert isinstance(value, list)
        return tuple(_as(inner[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        _check(isinstance(value, dict) and len(value) <= _MOST, where)
        assert isinstance(value, dict)
        return {_as(str, name, where): _as(inner[1], entry, f"{where}.{printable(name)}") for name, entry in value.items()}
    if kind is float:
        _check(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value), where)
        assert isinstance(value, int | float)
        return float(value)
    if kind is object:
        return _plain(value, where)
    _check(type(value) is kind, where)
    _check(kind is not str or len(str(value)) <= _LONGEST, where)
    _check(kind is not int or 0 <= int(str(value)) < 2**63, where)
    return value


def _dataclass(kind: Any, value: object, where: str) -> Any:
    _check(isinstance(value, dict), where)
    assert isinstance(value, dict)
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    _check(value.keys() <= known.keys(), f"{where} has fields that are not known, or {where}")
    needed = [name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING]
    lacking = [name for name in needed if name not in value]
    _check(not lacking, f"{where}.{lacking[0]}" if lacking else where)
    return kind(**{name: _as(hints[name], entry, f"{where}.{name}") for name, entry in value.items()})


def _plain(value: object, where: str) -> object:
    """A setting: a number, a text, or a list of these."""
    if isinstance(value, list):
        _check(len(value) <= _MOST, where)
        return [_plain(entry, where) for entry in value if _check(not isinstance(entry, list), where)]
    _check(value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)), where)
    _check(not isinstance(value, str) or len(value) <= _LONGEST, where)
    return value


def _check(holds: bool, where: str) -> bool:
    if not holds:
        raise ValueError(f"{where} is missing or not as it should be")
    return True
