"""Bytes of a tensor to numbers."""

from functools import cache

import numpy as np

__all__ = ["READ", "numbers_of"]

_PLAIN = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
"""Types that numpy has."""
READ = (*_PLAIN, "BF16", "F8_E4M3", "F8_E5M2")
"""Types of numbers that are read."""


def numbers_of(data: bytes, dtype: str) -> np.ndarray | None:
    """The numbers, `[count]`; None where one is NaN or infinite. bfloat16 and float8 come as float32, which holds them exactly."""
    numbers = _decoded(data, dtype)
    return numbers if np.isfinite(numbers).all() else None


def _decoded(data: bytes, dtype: str) -> np.ndarray:
    if dtype in _PLAIN:
        return np.frombuffer(data, _PLAIN[dtype])
    if dtype == "BF16":
        return _upper_half(np.frombuffer(data, "<u2"))
    return _float8(dtype)[np.frombuffer(data, "u1")]


def _upper_half(bits: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = (bits.astype("<u4") << 16).view("<f4")
    return numbers


@cache
def _float8(dtype: str) -> np.ndarray:
    """All 256 numbers of a float8 type (Micikevicius et al. 2022, arXiv 2209.05433, table 1)."""
    bits = np.arange(256, dtype="<u2")
    if dtype == "F8_E5M2":
        return (bits << 8).view("<f2").astype("<f4")
    exponent, mantissa = (bits >> 3) & 15, (bits & 7).astype("<f4")
    numbers = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent.astype("<f4") - 7))
    numbers[(bits & 127) == 127] = np.nan
    return np.where(bits >> 7, -numbers, numbers).astype("<f4")
