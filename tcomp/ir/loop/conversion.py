"""What `cast` and `bitcast` do to arrays that hold a type's own bits (narrow floats as ml_dtypes)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tcomp.ir.dtypes import DType
from tcomp.ir.tensor import conversions

Array: TypeAlias = Any  # np.ndarray


def convert(values: Array, source: DType, target: DType) -> Array:
    """`cast`: each value rounded once, straight from its source type.

    Integers wrap; float to integer truncates and saturates, NaN gives 0; anything to bool is `!= 0`.
    """
    if source is target:
        return values
    if target.is_float and target.bits >= 32:
        return values.astype(target.numpy)
    if target.is_float and source.is_integer and source.bits == 64:
        values = _sticky(values)
    if source.is_float or target.is_float:
        values = values.astype(np.float64)
    return conversions.convert(values, source, target).astype(target.numpy)


def bitcast(values: Array, target: DType) -> Array:
    """The same bits as another type of the same width."""
    return values.view(target.numpy)


def _sticky(values: Array) -> Array:
    """64-bit integers made exact in float64 without changing how they round to 11 digits or fewer:
    the low bits are folded into one that only says whether they were zero."""
    low = values & 0x7FF
    folded = (values - low) | ((low != 0).astype(values.dtype) << 11)
    large = values.astype(np.float64)
    return np.where(np.abs(large) < 2.0**53, values, folded)
