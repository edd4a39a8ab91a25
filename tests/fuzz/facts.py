"""What is known about the values of a random expression, so that results can be compared honestly.

A float is *exact* if it is a multiple of 2**-grain so small that its type holds every such number:
additions, products and comparisons of exact values give the same bits in f32 and in float64. Only exact
values meet discontinuous operations. For the others an absolute error bound is carried along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tcomp.ir.dtypes import DType, f64

_DIGITS = {"f64": 53, "f32": 24, "f16": 11, "bf16": 8, "f8e4m3": 4, "f8e5m2": 3}
_LARGEST = {"f16": 65504.0, "bf16": 3e38, "f8e4m3": 448.0, "f8e5m2": 57344.0}


@dataclass(frozen=True, slots=True)
class Facts:
    """`bound` on the magnitude; `grain` of exact floats (None: inexact); `error` of a compiled result."""

    bound: float
    grain: int | None = 0
    error: float = 0.0

    @property
    def exact(self) -> bool:
        return self.grain is not None

    def settled(self, dtype: DType) -> Facts:
        """The facts after a rounding to `dtype`: exactness is lost where digits run out."""
        if not dtype.is_float:
            return self
        if self.grain is not None and self.bound * 2.0**self.grain < 2.0 ** _DIGITS[dtype.name]:
            return replace(self, error=0.0)
        return Facts(self.bound, None, self.error + self.bound * unit(dtype))


def unit(dtype: DType) -> float:
    """A generous relative error of one operation, elementary functions included."""
    return 2.0**-49 if dtype is f64 else 2.0 ** (2 - _DIGITS[dtype.name])


def narrowed(facts: Facts, dtype: DType) -> Facts | None:
    """A conversion to a float type; None where it could overflow."""
    if facts.bound > _LARGEST.get(dtype.name, math.inf) * 0.9:
        return None
    if facts.exact:  # the same number is rounded on both sides
        wider = Facts(facts.bound * (1 + 2.0 ** -_DIGITS[dtype.name]), facts.grain)
        return wider if dtype.name in _LARGEST else facts.settled(dtype)
    return replace(facts, error=facts.error + facts.bound * unit(dtype)).settled(dtype)


def added(a: Facts, b: Facts, dtype: DType) -> Facts:
    return Facts(a.bound + b.bound, _join(a, b), a.error + b.error).settled(dtype)


def multiplied(a: Facts, b: Facts, dtype: DType) -> Facts:
    grain = None if a.grain is None or b.grain is None else a.grain + b.grain
    error = a.bound * b.error + b.bound * a.error
    return Facts(a.bound * b.bound, grain, error).settled(dtype)


def chosen(a: Facts, b: Facts) -> Facts:
    """One of two values: where, minimum, maximum, a guarded read."""
    return Facts(max(a.bound, b.bound), _join(a, b), max(a.error, b.error))


def summed(a: Facts, terms: int, dtype: DType) -> Facts:
    n = max(terms, 1)
    return Facts(a.bound * n, a.grain, n * (a.error + a.bound * n * unit(dtype))).settled(dtype)


def smooth(a: Facts, slope: float, bound: float, dtype: DType) -> Facts:
    """A function of the given steepness and bound."""
    return Facts(bound, None, slope * a.error + bound * unit(dtype))


def _join(a: Facts, b: Facts) -> int | None:
    return None if a.grain is None or b.grain is None else max(a.grain, b.grain)
