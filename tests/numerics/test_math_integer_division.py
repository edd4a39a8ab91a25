"""Floor division, remainder, powers and signs of integers, judged by Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tcomp.ir.dtypes import DType, i32, i64, u32, u64
from tests.numerics.math_kernels import apply

INTEGERS = [i32, u32, i64, u64]
CONSTANTS = [0, 1, -1, 2, -2, 3, 5, 7, -7, 8, 10, 16, 641, 1 << 20, (1 << 31) - 1, 1000003]


def wrap(value: int, dtype: DType) -> int:
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.is_signed and value >> (dtype.bits - 1) else value


def operands(dtype: DType, count: int = 300, seed: int = 0) -> tuple[Any, Any]:
    """Random pairs of every magnitude, and all pairs of the corners of the range."""
    rng = np.random.default_rng(seed)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    high = low + (1 << dtype.bits) - 1
    corners = [
        low,
        low + 1,
        high,
        high - 1,
        0,
        1,
        2,
        3,
        7,
        high // 2,
        wrap(-1, dtype),
        wrap(-2, dtype),
    ]
    pairs = [(a, b) for a in corners for b in corners]
    for _ in range(count):
        a, b = (
            wrap(int(rng.integers(0, 1 << 62)) >> int(rng.integers(0, 62)), dtype) for _ in "ab"
        )
        sign = rng.choice([1, -1], 2)
        pairs.append((wrap(a * int(sign[0]), dtype), wrap(b * int(sign[1]), dtype)))
    left, right = zip(*pairs, strict=True)
    return np.array(left, dtype.numpy), np.array(right, dtype.numpy)


def run(op: str, dtype: DType, a: Any, b: Any) -> Any:
    return apply(op, a, b, sources=(dtype, dtype), result=dtype)


def expected(op: str, dtype: DType, a: Any, b: Any) -> list[int]:
    def one(x: int, y: int) -> int:
        if y == 0:
            return 0
        return wrap(x // y if op == "floordiv" else x % y, dtype)

    return [one(int(x), int(y)) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_division_floors_and_never_faults(op: str, dtype: DType) -> None:
    a, b = operands(dtype)
    assert run(op, dtype, a, b).tolist() == expected(op, dtype, a, b)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("divisor", CONSTANTS)
@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_constant_divisors(op: str, divisor: int, dtype: DType) -> None:
    a, _ = operands(dtype, 200, seed=divisor & 0xFF)
    divisor = wrap(divisor, dtype)
    # Multiples of the divisor and their neighbours are where a multiplication would first go wrong.
    rng = np.random.default_rng(1)
    extra = [
        wrap(int(k) * divisor + d, dtype) for k in rng.integers(-9999, 9999, 50) for d in (-1, 0, 1)
    ]
    a = np.concatenate([a, np.array(extra, a.dtype)])
    wanted = expected(op, dtype, a, np.full(len(a), divisor, a.dtype))
    assert run(op, dtype, a, divisor).tolist() == wanted


def test_every_divisor_of_a_dense_range() -> None:
    a = np.arange(-3000, 3000, dtype=np.int32)
    for divisor in (6, 9, 11, 12, 13, 25, 28, 100, 127, 255, 999):
        assert np.array_equal(run("floordiv", i32, a, divisor), a // divisor)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("constant", [True, False])
def test_powers_wrap(dtype: DType, constant: bool) -> None:
    base, _ = operands(dtype, 50)
    for exponent in (0, 1, 2, 3, 7, 30):
        exponents = np.full(len(base), exponent, base.dtype)
        result = run("pow", dtype, base, exponent if constant else exponents)
        assert result.tolist() == [wrap(int(x) ** exponent, dtype) for x in base]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_sign_relu_clip(dtype: DType) -> None:
    a, b = operands(dtype, 50)
    assert np.array_equal(apply("sign", a, sources=(dtype,), result=dtype), np.sign(a))
    assert np.array_equal(apply("relu", a, sources=(dtype,), result=dtype), np.maximum(a, 0))
    clipped = apply("clip", a, 2, b, sources=(dtype, dtype, dtype), result=dtype)
    assert np.array_equal(clipped, np.minimum(np.maximum(a, 2), b))
