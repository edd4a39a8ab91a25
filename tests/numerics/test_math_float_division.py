"""Floor division and remainder of floats: exact remainders, Python's signs, every special value."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tcomp.ir.dtypes import DType, f32, f64
from tests.numerics.math_kernels import apply
from tests.numerics.math_reference import argument_samples, bit_patterns

FLOATS = [f32, f64]


def pairs(dtype: DType, count: int) -> tuple[Any, Any]:
    """All pairs of special values, random bit patterns, quotients near integers, and small numbers."""
    rng = np.random.default_rng(2)
    a, b = argument_samples("atan2", dtype.numpy, count)
    close = rng.integers(1, 50, count).astype(dtype.numpy)
    divisor = rng.uniform(-9, 9, count).astype(dtype.numpy)
    product = close * divisor
    nudged = np.nextafter(product, rng.choice([-np.inf, np.inf], count).astype(dtype.numpy))
    wild = bit_patterns(dtype.numpy, count, rng), bit_patterns(dtype.numpy, count, rng)
    left = np.concatenate([a, product, nudged, wild[0]])
    return left, np.concatenate([b, divisor, divisor, wild[1]])


def modulo(a: float, b: float) -> float:
    """np.remainder's rules around the exact math.fmod."""
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or b == 0:
        return math.nan
    rest = math.fmod(a, b)
    if rest == 0:
        return math.copysign(0.0, b)
    return rest + b if (rest < 0) != (b < 0) else rest


def same(x: float, y: float) -> bool:
    return (math.isnan(x) and math.isnan(y)) or (
        x == y and math.copysign(1, x) == math.copysign(1, y)
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_remainder_is_exact(dtype: DType) -> None:
    a, b = pairs(dtype, 1500)
    result = apply("mod", a, b, sources=(dtype, dtype), result=dtype)
    for x, y, got in zip(a.tolist(), b.tolist(), result.tolist(), strict=True):
        with np.errstate(all="ignore"):
            wanted = float(dtype.numpy.type(modulo(x, y)))
        assert same(got, wanted), (x, y, got, wanted)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floor_division_follows_numpy(dtype: DType) -> None:
    a, b = pairs(dtype, 1500)
    result = apply("floordiv", a, b, sources=(dtype, dtype), result=dtype)
    with np.errstate(all="ignore"):
        wanted = np.floor_divide(a, b)
    for x, y, got, want in zip(
        a.tolist(), b.tolist(), result.tolist(), wanted.tolist(), strict=True
    ):
        assert same(got, want) or near_exact(x, y, got, dtype), (x, y, got, want)


def near_exact(x: float, y: float, got: float, dtype: DType) -> bool:
    """Within a rounding of the exact floor, where NumPy differs by its own rounding."""
    if not (math.isfinite(x) and math.isfinite(y) and y and math.isfinite(got)):
        return False
    exact = math.floor(Fraction(x) / Fraction(y))
    return abs(Fraction(got) - exact) <= abs(exact) * Fraction(float(np.finfo(dtype.numpy).eps))
