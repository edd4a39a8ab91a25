"""Conversions between every two types, bit for bit as ml_dtypes, NumPy, or exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tcomp.ir import dtypes
from tcomp.ir.dtypes import DType, bf16, f8e4m3, f8e5m2, f16, f32, f64
from tests.numerics.math_kernels import apply
from tests.numerics.math_reference import bit_patterns

NARROW = [f16, bf16, f8e4m3, f8e5m2]
INTEGERS = [t for t in dtypes.ALL if t.is_integer and t.bits >= 8]


def convert(x: Any, source: DType, target: DType) -> Any:
    return apply("cast", x, sources=(source,), result=target)


def same(result: Any, wanted: Any) -> bool:
    """Equal values with equal signs; any NaN equals any NaN."""
    with np.errstate(invalid="ignore"):
        left, right = result.astype(np.float64), wanted.astype(np.float64)
    nan = np.isnan(left) & np.isnan(right)
    signs = (left != 0) | (np.signbit(left) == np.signbit(right))
    return bool(np.all(nan | ((left == right) & signs)))


def all_patterns(dtype: DType) -> Any:
    unsigned = np.dtype(f"u{dtype.bytes}")
    return np.arange(1 << dtype.bits, dtype=np.uint32).astype(unsigned).view(dtype.numpy)


def ties(target: DType, wide: Any) -> Any:
    """Every finite value of a narrow type, the midpoints between neighbours, and their neighbours."""
    with np.errstate(invalid="ignore"):
        values = all_patterns(target).astype(np.float64)
    values = np.unique(values[np.isfinite(values)])
    middles = (values[1:] + values[:-1]) / 2
    with np.errstate(over="ignore"):
        points = np.concatenate([values, middles, values[-1:] * 1.0625, values[-1:] * 2]).astype(
            wide
        )
    return np.concatenate(
        [points, np.nextafter(points, wide(9)), np.nextafter(points, wide(-9)), -points]
    )


@pytest.mark.parametrize("source", NARROW, ids=str)
@pytest.mark.parametrize("target", [f32, f64, *NARROW], ids=str)
def test_every_pattern_of_a_narrow_float(source: DType, target: DType) -> None:
    x = all_patterns(source)
    with np.errstate(all="ignore"):
        wanted = x.astype(np.float32).astype(target.numpy)
    assert same(convert(x, source, target), wanted)


@pytest.mark.parametrize("source", [f32, f64], ids=str)
@pytest.mark.parametrize("target", NARROW, ids=str)
def test_rounding_to_a_narrow_float(source: DType, target: DType) -> None:
    wide = np.float32 if source is f32 else np.float64
    rng = np.random.default_rng(5)
    near = rng.standard_normal(5000) * 2.0 ** rng.uniform(-30, 18, 5000)
    x = np.concatenate([ties(target, wide), bit_patterns(wide, 5000, rng), near.astype(wide)])
    with np.errstate(invalid="ignore"):
        exact = x.astype(np.longdouble)
    assert same(convert(x, source, target), rounded(exact, target))


def rounded(x: Any, target: DType) -> Any:
    """x (long double) rounded once, half to even, by search among all values of `target`.

    ml_dtypes itself rounds f64 twice, through f32.
    """
    codes = np.arange(1 << (target.bits - 1)).astype(f"u{target.bytes}")
    with np.errstate(invalid="ignore"):
        values = codes.view(target.numpy).astype(np.longdouble)
    values = values[: np.count_nonzero(np.isfinite(values))]
    beyond = 2 * values[-1] - values[-2]  # what would come next if the range did not end
    values = np.append(values, beyond)
    magnitude = np.where(np.isnan(x), 0, np.abs(x))
    code = np.clip(np.searchsorted(values, magnitude, side="right") - 1, 0, len(values) - 2)
    middle = (values[code] + values[code + 1]) / 2
    code = code + ((magnitude > middle) | ((magnitude == middle) & (code % 2 == 1)))
    finite = np.append(values[:-1], np.nan if target is f8e4m3 else np.inf).astype(np.float64)
    return np.where(np.isnan(x), np.nan, np.copysign(finite[code], x.astype(np.float64)))


@pytest.mark.parametrize("target", INTEGERS, ids=str)
@pytest.mark.parametrize("source", [f32, f64, *NARROW], ids=str)
def test_float_to_integer_truncates_and_saturates(source: DType, target: DType) -> None:
    info = np.iinfo(target.numpy)
    edges = [
        0.5,
        -0.5,
        0.99,
        -0.99,
        1.5,
        -1.5,
        127.9,
        255.5,
        256,
        -129,
        2.0**31,
        2.0**63,
        2.0**64,
        1e30,
    ]
    with np.errstate(all="ignore"):
        x = np.array([*edges, -(2.0**31), -(2.0**63), -1e30, np.inf, -np.inf, np.nan]).astype(
            source.numpy
        )
    wide = x.astype(np.float64)

    def one(v: float) -> int:
        if np.isnan(v):
            return 0
        if np.isinf(v):
            return int(info.max if v > 0 else info.min)
        return min(max(int(v), int(info.min)), int(info.max))

    assert convert(x, source, target).tolist() == [one(v) for v in wide]


@pytest.mark.parametrize("source", INTEGERS, ids=str)
@pytest.mark.parametrize("target", [f32, f64, *NARROW], ids=str)
def test_integer_to_float_rounds_once(source: DType, target: DType) -> None:
    rng = np.random.default_rng(3)
    info = np.iinfo(source.numpy)
    x = rng.integers(info.min, info.max, 400, source.numpy, endpoint=True)
    x = np.concatenate([x, x >> (source.bits // 2), np.array([0, 1, info.min, info.max], x.dtype)])
    sticky = [
        (1 << 40) + (1 << 32),
        (1 << 40) + (1 << 32) + 1,
        (1 << 60) + (1 << 52) + 1,
        (1 << 24) + 1,
    ]
    if source.bits == 64:
        x = np.concatenate([x, np.array(sticky, x.dtype)])
    result = convert(x, source, target).astype(np.float64)
    if target in NARROW:
        assert same(result, rounded(x.astype(np.longdouble), target))
    elif target is f32:
        assert result.tolist() == [nearest_f32(v) for v in x.tolist()]
    else:
        assert result.tolist() == [float(v) for v in x.tolist()]


def nearest_f32(value: int) -> float:
    guess = np.float32(value)
    choices = [guess, *(np.nextafter(guess, np.float32(s)) for s in (-np.inf, np.inf))]
    parity = [int(c.view(np.uint32)) & 1 for c in choices]
    best = min(range(3), key=lambda k: (abs(Fraction(float(choices[k])) - value), parity[k]))
    return float(choices[best])


@pytest.mark.parametrize("dtype", [t for t in dtypes.ALL if t.bits >= 8], ids=str)
def test_bool_both_ways(dtype: DType) -> None:
    truth = np.array([False, True])
    assert convert(truth, dtypes.boolean, dtype).astype(np.float64).tolist() == [0.0, 1.0]
    numbers = np.array([0, 1, 2, 100]).astype(dtype.numpy)
    assert convert(numbers, dtype, dtypes.boolean).tolist() == [False, True, True, True]
