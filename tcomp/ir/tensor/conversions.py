"""How the interpreter represents element types, and what conversions between them mean.

Floats of every width are float64 arrays; a narrow one holds only values of its type. Integers have
their own NumPy type (4-bit ones a byte), so that they wrap exactly as the language says.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tcomp.ir.dtypes import DType

Array: TypeAlias = Any  # np.ndarray

# significand bits, smallest normal exponent, largest finite value, has infinities
_FLOATS: dict[str, tuple[int, int, float, bool]] = {
    "f16": (11, -14, 65504.0, True),
    "bf16": (8, -126, float.fromhex("0x1.fep127"), True),
    "f8e4m3": (4, -6, 448.0, False),
    "f8e5m2": (3, -14, 57344.0, True),
}


def representation(dtype: DType) -> np.dtype[Any]:
    """The NumPy type of the interpreter's arrays of type `dtype`."""
    if dtype.is_float:
        return np.dtype(np.float64)
    if dtype.is_packed:
        return np.dtype(np.int8 if dtype.is_signed else np.uint8)
    return dtype.numpy


def convert(values: Array, source: DType, target: DType) -> Array:
    """`cast` from `source` to `target`: integers wrap, floats truncate and saturate, NaN gives 0.

    f32 and f64 results are not rounded: the interpreter computes in float64.
    """
    if target.is_bool:
        return values != 0
    if target.is_float:
        return round_float(values.astype(np.float64), target)
    if source.is_float:
        return _saturate(values, target)
    return _wrap(values, target)


def bitcast(values: Array, source: DType, target: DType) -> Array:
    """The same bits as another type of the same width."""
    return values.astype(source.numpy).view(target.numpy).astype(representation(target))


def round_float(values: Array, dtype: DType) -> Array:
    """float64 values rounded once, to the nearest (ties to even) of a narrow type.

    ml_dtypes goes through float32 and so rounds twice. f8e4m3 has no infinity: overflow gives NaN.
    """
    if dtype.name not in _FLOATS:
        return values
    digits, smallest, largest, has_infinity = _FLOATS[dtype.name]
    _, exponent = np.frexp(values)  # values = m * 2**exponent, 0.5 <= |m| < 1
    quantum = np.maximum(exponent - 1, smallest) - (digits - 1)
    rounded = np.ldexp(np.rint(np.ldexp(values, -quantum)), quantum)
    overflow = np.copysign(np.inf, values) if has_infinity else np.full_like(values, np.nan)
    return np.where(
        np.abs(rounded) > largest, overflow, np.where(np.isnan(values), values, rounded)
    )


def integer_range(dtype: DType) -> tuple[int, int]:
    """Smallest and largest value of an integer type."""
    if dtype.is_signed:
        return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1
    return 0, (1 << dtype.bits) - 1


def _saturate(values: Array, target: DType) -> Array:
    low, high = integer_range(target)
    kind = representation(target)
    whole = np.trunc(np.where(np.isnan(values), 0.0, values))
    below = np.nextafter(float(high + 1), 0.0)  # 2**63 - 1 is no float64
    inside = np.trunc(np.clip(whole, float(low), below)).astype(kind)
    return np.where(whole >= float(high + 1), kind.type(high), inside)


def _wrap(values: Array, target: DType) -> Array:
    if not target.is_packed:
        return values.astype(target.numpy)
    low = (values.astype(np.int64) & 15).astype(representation(target))
    return np.where(low > 7, low - 16, low) if target.is_signed else low
