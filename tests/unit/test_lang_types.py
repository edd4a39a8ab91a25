"""Types: weak literals, promotion, conversions on storing, folding, powers. Expected values from Python."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from lang_run import integers, normal, run

from tcomp.ir.dtypes import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8, u32, u64
from tcomp.ir.tensor.nodes import Const, Program
from tcomp.lang import lower, parse


def local_type(expression: str, **types: DType) -> DType:
    """The type of `T[i] = expression` over tensors of the given types."""
    inputs = ", ".join(f"{n}: {t}[N]" for n, t in types.items())
    text = f"def f({inputs or 'Z: f32[N]'}) -> Y: bool[N]:\n    T[i in 0:N] = {expression}\n    Y[i] = T[i] == T[i]\n"
    return local(lower(parse(text))).tensor.dtype


def local(program: Program):  # type: ignore[no-untyped-def]
    return next(d for d in program.definitions() if d.tensor.name == "T")


@pytest.mark.parametrize(
    ("left", "right", "want"),
    [
        (i8, u8, i32), (boolean, boolean, i32), (boolean, f16, f32), (i32, u32, u32), (u32, i64, i64),
        (i64, u64, u64), (u64, f16, f32), (bf16, f16, f32), (f32, f64, f64), (i16, i64, i64),
    ],
)  # fmt: skip
def test_promotion(left: DType, right: DType, want: DType) -> None:
    assert local_type("A[i] + B[i]", A=left, B=right) is want
    assert local_type("maximum(B[i], A[i])", A=left, B=right) is want
    assert local_type("where(A[i] == B[i], A[i] + B[i], B[i] + A[i])", A=left, B=right) is want


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        ("1", i32), ("1.0", f32), ("3000000000", i64), ("True", boolean), ("i", i64), ("N", i64),
        ("i + 1", i64), ("i / 2", f32), ("1 / 2", f32), ("7 // 2", i32), ("i * 0.5", f32),
        ("2 ** 10", i32), ("2 ** -1", f32), ("N ** 2", i64), ("N ** 0.5", f32), ("sqrt(4)", f32),
        ("inf", f32), ("i == 0", boolean), ("cast(i8, 300)", i8), ("cast(f64, 1)", f64),
        ("abs(i - 3)", i64), ("minimum(i, 3)", i64), ("argmax[k in 0:N](i - k)", i64),
        ("sum[k in 0:N](1)", i32), ("any[k in 0:N](k == i)", boolean), ("mean[k in 0:N](k)", f32),
    ],
)  # fmt: skip
def test_types_of_weak_expressions(expression: str, want: DType) -> None:
    assert local_type(expression) is want


@pytest.mark.parametrize(
    ("expression", "of", "want"),
    [
        ("A[i]", f16, f32), ("A[i]", i8, i32), ("A[i]", boolean, boolean), ("-A[i]", boolean, i32),
        ("A[i] + 1", i8, i32), ("A[i] + 1.5", i8, f32), ("A[i] + 1", boolean, i32), ("A[i] + i", i32, i32),
        ("A[i] * i", f16, f32), ("A[i] * 2", f64, f64), ("A[i] / 2", i64, f32), ("A[i] / 2", f64, f64),
        ("A[i] ** 2", i8, i32), ("A[i] ** -1", i8, f32), ("A[i] ** 2", f16, f32), ("sqrt(A[i])", i64, f32),
        ("sqrt(A[i])", f64, f64), ("floor(A[i])", i32, i32), ("relu(A[i])", i8, i32), ("sum[k](A[k])", i8, i32),
        ("sum[k](A[k])", boolean, i32), ("max[k](A[k])", f16, f32), ("mean[k](A[k])", i32, f32),
        ("mean[k](A[k])", f64, f64), ("argmax[k](A[k])", f16, i64), ("A[i] > 0", f16, boolean),
        ("isnan(A[i])", i32, boolean), ("where(i > 0, A[i], 0)", u8, i32), ("where(i > 0, A[i], 0.5)", u8, f32),
        ("A[i] // 2", u32, u32), ("A[i] % 2.0", i32, f32), ("cast(i8, A[i])", f32, i8), ("cast(f16, A[i])", f16, f16),
        ("A[i] ** 0.5", i32, f32),
        ("(A[i-1] else 0.5)", i32, f32), ("(A[i-1] else 0)", u8, i32), ("clip(A[i], 0, 1)", i8, i32),
    ],
)  # fmt: skip
def test_types_of_expressions(expression: str, of: DType, want: DType) -> None:
    assert local_type(expression, A=of) is want


def scalar(expression: str, kind: str = "f64", **params: object) -> object:
    brackets = f"[{', '.join(f'{n}={v}' for n, v in params.items())}]" if params else ""
    return run(f"def f{brackets}() -> y: {kind}:\n    y = {expression}\n").item()


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        ("-2 ** 2", -4), ("2 ** -1", 0.5), ("2 ** 3 ** 2", 512), ("-7 // 2", -4), ("-7 % 3", 2),
        ("7 % -3", -2), ("1 - 2 - 3", -4), ("2 * 3 // 4", 1), ("0.1 + 0.2", 0.1 + 0.2), ("1 / 3", 1 / 3),
        ("7 // 0", 0), ("7 % 0", 0), ("1 / 0", math.inf), ("-1 / 0", -math.inf), ("2 ** 0.5", math.sqrt(2)),
        ("sqrt(2)", math.sqrt(2)), ("exp(1)", math.e), ("sin(pi)", math.sin(math.pi)), ("-inf", -math.inf),
        ("minimum(3, 2)", 2), ("clip(5, 0, 3)", 3), ("abs(-3)", 3), ("sign(-0.5)", -1), ("round(2.5)", 2),
        ("7.5 // 2", 3), ("-7.5 % 2", 0.5), ("pow(2, 10)", 1024), ("atan2(1, -1)", math.atan2(1, -1)),
        ("1e3", 1000), (".5", 0.5), ("1.", 1), ("+3", 3), ("-(-3)", 3), ("(1 + 2) * 3", 9),
        ("cast(i8, 300)", 44), ("cast(u8, -1)", 255), ("cast(i32, -2.9)", -2), ("cast(i8, 1e9)", 127),
        ("cast(i32, nan)", 0), ("cast(f16, 0.1)", float(np.float16(0.1))), ("where(1 < 2, 3, 4)", 3),
        ("where(not 1 == 2 and True or False, 1, 0)", 1), ("where(1 < 2 == True, 1, 0)", None),
        ("isnan(nan) + isinf(inf)", 2), ("gelu(0)", 0), ("2 ** 62", 2.0**62),
    ],
)  # fmt: skip
def test_constants(expression: str, want: float | None) -> None:
    if want is None:
        with pytest.raises(Exception, match="TC006"):
            scalar(expression)
    else:
        assert scalar(expression) == want


def test_constants_are_folded_before_they_are_rounded() -> None:
    """0.1 + 0.2 in f64, then one rounding: not the sum of two rounded numbers."""
    program = lower(parse("def f(X: f32[N]) -> T: f32[N]:\n    T[i] = X[i] * (0.1 + 0.2)\n"))
    (definition,) = program.definitions()
    assert definition.body.args[1] is Const(float(np.float32(0.1 + 0.2)), f32)


def test_parameters_are_weak() -> None:
    text = "def f[n=3, s=0.5, on=True](X: f64[N]) -> Y: f64[N]:\n    Y[i] = where(on, X[i] * n + s, X[i])\n"
    x = normal(4, dtype=np.float64)
    np.testing.assert_array_equal(run(text, x), x * 3 + 0.5)
    np.testing.assert_array_equal(run(text, x, n=-2, s=0.1), x * -2 + 0.1)
    np.testing.assert_array_equal(run(text, x, on=False), x)


def test_iterators_take_the_type_beside_them() -> None:
    text = "def f(X: f64[N]) -> Y: f64[N]:\n    Y[i] = X[i] + i * 0.1 + sqrt(i) + N / 3\n"
    x = normal(5, dtype=np.float64)
    i = np.arange(5)
    np.testing.assert_allclose(run(text, x), x + i * 0.1 + np.sqrt(i) + 5 / 3, rtol=1e-15)


def test_storing_converts() -> None:
    text = """
def f(B: bool[N], I: i8[N], X: f64[N]) -> (a: i32[N], b: f32[N], c: f16[N], d: u8[N], e: f64[N]):
    a[i] = B[i]
    b[i] = I[i]
    c[i] = X[i]
    d[i] = I[i]
    e[i] = I[i] * 1000
"""
    b, i, x = (
        np.array([True, False, True]),
        np.array([-1, 5, 127], np.int8),
        np.array([0.1, 70000.0, 1]),
    )
    got = run(text, b, i, x)
    np.testing.assert_array_equal(got[0], [1, 0, 1])
    np.testing.assert_array_equal(got[1], [-1, 5, 127])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got[2], x.astype(np.float16))
    np.testing.assert_array_equal(got[3], [255, 5, 127])
    np.testing.assert_array_equal(got[4], [-1000, 5000, 127000])


def test_integers_wrap() -> None:
    text = "def f(A: i32[N]) -> (Y: i32[N], Z: i8[N]):\n    Y[i] = A[i] * A[i]\n    Z[i] = A[i]\n"
    a = np.array([70000, -3, 300], np.int32)
    got = run(text, a)
    np.testing.assert_array_equal(got[0], (a.astype(np.int64) ** 2).astype(np.int32))
    np.testing.assert_array_equal(got[1], a.astype(np.int8))


def test_integer_division_floors_and_zero_gives_zero() -> None:
    text = "def f(A: i32[N], B: i32[N]) -> (q: i32[N], r: i32[N]):\n    q[i] = A[i] // B[i]\n    r[i] = A[i] % B[i]\n"
    a, b = np.array([7, -7, 7, -7, 5], np.int32), np.array([2, 2, -2, -2, 0], np.int32)
    q, r = run(text, a, b)
    np.testing.assert_array_equal(q, [3, -4, -4, 3, 0])
    np.testing.assert_array_equal(r, [1, 1, -1, -1, 0])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 16, 17, 30])
def test_integer_powers_stay_exact(n: int) -> None:
    a = integers(6, low=-4, high=5)
    got = run(f"def f(A: i32[N]) -> Y: i64[N]:\n    Y[i] = A[i] ** {n}\n", a)
    np.testing.assert_array_equal(got, (a.astype(object) ** n).astype(np.int64).astype(np.int32))


@pytest.mark.parametrize("power", ["2", "3", "-1", "-2", "0.5", "-0.5", "2.5", "7", "0"])
def test_float_powers(power: str) -> None:
    x = np.abs(normal(6)) + 0.5
    got = run(f"def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] ** {power}\n", x)
    np.testing.assert_allclose(got, x.astype(float) ** float(power), rtol=1e-12)


def test_cubes_and_squares_are_products() -> None:
    program = lower(parse("def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] ** 3 + X[i] ** 2\n"))
    (definition,) = program.definitions()
    assert "pow" not in definition.body.key


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bf16", ml_dtypes.bfloat16), ("f16", np.float16), ("f8e4m3", ml_dtypes.float8_e4m3fn),
     ("f8e5m2", ml_dtypes.float8_e5m2)],
)  # fmt: skip
def test_narrow_floats_are_computed_in_f32(name: str, kind: type) -> None:
    x = normal(20).astype(kind)
    text = f"def f(X: {name}[N]) -> Y: f32[N]:\n    Y[i] = X[i] + 0.1\n"
    want = x.astype(np.float64) + np.float32(0.1)
    np.testing.assert_allclose(run(text, x), want, rtol=1e-12)


def test_guard_that_the_tensor_cannot_hold() -> None:
    """The value after `else` keeps its own type: it is not squeezed into the tensor's."""
    text = "def f(X: u8[N]) -> Y: f32[N]:\n    Y[i] = (X[i-1] else -1) + (X[i+1] else 0.5) + (X[i+2] else -inf) * 0\n"
    x = np.array([10, 20], np.uint8)
    got = run(text.replace(" + (X[i+2] else -inf) * 0", ""), x)
    np.testing.assert_array_equal(got, [-1 + 20, 10 + 0.5])
    half = run(
        "def f(X: f16[N]) -> Y: f64[N]:\n    Y[i] = X[i-1] else 0.1\n", np.zeros(2, np.float16)
    )
    assert half[0] == np.float32(0.1) or half[0] == 0.1
    logical = run(
        "def f(X: bool[N]) -> Y: bool[N]:\n    Y[i] = X[i-1] else True\n", np.array([False, True])
    )
    np.testing.assert_array_equal(logical, [True, False])


def test_generic_types() -> None:
    text = """
def f(X: float[N], I: int[N]) -> (Y: float[N], J: int[N]):
    Y[i] = X[i] + cast(float, I[i])
    J[i] = I[i]
"""
    x, i = normal(3, dtype=np.float64), integers(3, dtype=np.int16)
    y, j = run(text, x, i)
    np.testing.assert_array_equal(y, x + i)
    np.testing.assert_array_equal(j, i)
