"""Selections, and composites of few operations: extrema, sign, tests, rsqrt, relu."""

from __future__ import annotations

from tcomp.codegen.math.lanes import Lanes, literal, where


def maximum(a: Lanes, b: Lanes) -> Lanes:
    """The greater; NaN if either is. One instruction and a NaN test, which a constant operand spares."""
    if a.dtype.is_integer:
        return a.apply("maximum", b)
    if _is_number(a):
        a, b = b, a
    if _is_number(b):
        return where(b > a, b, a)
    return where(a.is_nan, a, where(a > b, a, b))


def minimum(a: Lanes, b: Lanes) -> Lanes:
    if a.dtype.is_integer:
        return a.apply("minimum", b)
    if _is_number(a):
        a, b = b, a
    if _is_number(b):
        return where(b < a, b, a)
    return where(a.is_nan, a, where(a < b, a, b))


def _is_number(x: Lanes) -> bool:
    value = literal(x)
    return value is not None and value == value


def clip(x: Lanes, low: Lanes, high: Lanes) -> Lanes:
    return minimum(maximum(x, low), high)


def relu(x: Lanes) -> Lanes:
    return maximum(x, x.constant(0))


def sign(x: Lanes) -> Lanes:
    """1, 0 or -1; NaN for NaN."""
    positive = where(x > 0, x.constant(1), x if x.dtype.is_float else 0)
    if not (x.dtype.is_signed or x.dtype.is_float):
        return positive
    return where(x < 0, x.constant(-1), positive)


def isnan(x: Lanes) -> Lanes:
    return x.is_nan


def isinf(x: Lanes) -> Lanes:
    return abs(x).equals(float("inf"))


def rsqrt(x: Lanes) -> Lanes:
    return 1.0 / x.sqrt()
