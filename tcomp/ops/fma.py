"""The fused multiply-add on NumPy arrays, rounded once, on any processor.

S. Boldo, G. Melquiond: Emulation of a FMA and correctly rounded sums: proved algorithms using rounding
to odd. IEEE Transactions on Computers 57(4), 2008.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # np.ndarray or NumPy scalar

_SPLIT = 2.0**27 + 1.0
_LARGE, _SMALL = 2.0**480, 2.0**-480  # no step of the error-free transformations leaves the range


def fused_multiply_add(a: Array, b: Array, c: Array) -> Array:
    """a * b + c rounded once, for float32 and float64 arrays; other types as written."""
    a, b, c = np.broadcast_arrays(a, b, c)
    with np.errstate(all="ignore"):
        if a.dtype == np.float32:
            product = a.astype(np.float64) * b.astype(np.float64)  # exact
            return _odd_sum(product, c.astype(np.float64)).astype(np.float32)
        if a.dtype == np.float64:
            return _double(a, b, c)
        return a * b + c


def _double(a: Array, b: Array, c: Array) -> Array:
    high, low = _two_product(a, b)
    top, rest = _two_sum(c, low)
    sum_, error = _two_sum(high, top)
    result = np.asarray(sum_ + _odd_sum(rest, error))
    finite = np.isfinite(a) & np.isfinite(b)
    plain = np.where(finite & np.isinf(c), c, a * b + c)  # though a * b alone may overflow
    usual = np.ones(result.shape, dtype=bool)
    for term in (a, b, a * b, c):
        usual &= (np.abs(term) > _SMALL) & (np.abs(term) < _LARGE)
    result = np.where(usual, result, plain)
    rare = ~usual & finite & np.isfinite(c) & (a != 0) & (b != 0)
    for place in zip(*np.nonzero(rare), strict=True):
        result[place] = _exact(float(a[place]), float(b[place]), float(c[place]))
    return result


def _exact(a: float, b: float, c: float) -> float:
    total = Fraction(a) * Fraction(b) + Fraction(c)
    if not total:
        return a * b + c  # the sign of zero follows the usual rules; a * b is exact or c is -a * b
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def _odd_sum(a: Array, b: Array) -> Array:
    """a + b rounded to odd: an inexact sum is the neighbour whose last bit is set."""
    total, error = _two_sum(a, b)
    total = np.asarray(total)
    even = total.view(np.int64) & 1 == 0
    inexact = (error != 0) & np.isfinite(total) & np.isfinite(error)
    return np.where(inexact & even, np.nextafter(total, np.copysign(np.inf, error)), total)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    product = a * b
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _split(a: Array) -> tuple[Array, Array]:
    scaled = a * _SPLIT
    high = scaled - (scaled - a)
    return high, a - high
