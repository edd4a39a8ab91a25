"""The interpreter against NumPy and Python: values that do not come from tcomp."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tcomp.ir.dtypes import DType, bf16, boolean, f8e4m3, f16, f32, i4, i8, i32, i64, u8, u32
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
)


def tensor(name: str, dtype: DType, *shape: int) -> Tensor:
    return Tensor(name, dtype, tuple((Int.of(0), Int.of(n)) for n in shape))


def it(name: str, lo: int, hi: int) -> Iter:
    return Iter(name, Int.of(lo), Int.of(hi))


def read(t: Tensor, *index: object, otherwise: Expr | None = None) -> Read:
    return Read(t, tuple(Int.of(i) for i in index), otherwise)  # type: ignore[arg-type]


def op(name: str, *args: Expr, dtype: DType | None = None) -> Apply:
    return Apply(name, args, dtype or args[0].dtype)


def run(body: Expr, iters: tuple[Iter, ...], inputs: dict[Tensor, np.ndarray]) -> np.ndarray:
    out = Tensor("out", body.dtype, tuple((i.lo, i.hi) for i in iters))
    program = Program("p", (), tuple(inputs), (out,), (Definition(out, iters, body),))
    (result,) = interpret(program, {t.name: a for t, a in inputs.items()})
    return result


i, j, k = it("i", 0, 5), it("j", 0, 7), it("k", 0, 3)
X, W = tensor("X", f32, 5, 3), tensor("W", f32, 3, 7)
rng = np.random.default_rng(7)


def test_a_matrix_product_with_shared_and_missing_axes() -> None:
    x, w = rng.standard_normal((5, 3)), rng.standard_normal((3, 7))
    body = Reduce("sum", (k,), op("mul", read(X, i, k), read(W, k, j)))
    np.testing.assert_allclose(run(body, (i, j), {X: x, W: w}), x @ w, rtol=1e-12)
    missing = Reduce("sum", (k,), op("mul", read(X, i, k), Const(2.0, f32)))
    np.testing.assert_allclose(run(missing, (i, j), {X: x}), np.outer(2 * x.sum(1), np.ones(7)))


def test_integer_products_wrap_whether_or_not_float64_holds_them() -> None:
    a, b = tensor("a", i32, 4, 6), tensor("b", i32, 6)
    p, q = it("p", 0, 4), it("q", 0, 6)
    body = Reduce("sum", (q,), op("mul", read(a, p, q), read(b, q)))
    for scale in (100, 2**31 - 1):
        x = rng.integers(-scale, scale, (4, 6)).astype(np.int32)
        y = rng.integers(-scale, scale, 6).astype(np.int32)
        exact = [sum(int(u) * int(v) for u, v in zip(row, y, strict=True)) for row in x]
        wrapped = [(e + 2**31) % 2**32 - 2**31 for e in exact]
        assert run(body, (p,), {a: x, b: y}).tolist() == wrapped


def test_guarded_reads_take_the_value_after_else_outside() -> None:
    a = tensor("a", f32, 5)
    body = read(a, Int.of(i) * 2 - 3, otherwise=op("neg", Const(1.0, f32)))
    x = rng.standard_normal(5)
    expected = [x[2 * n - 3] if 0 <= 2 * n - 3 < 5 else -1 for n in range(5)]
    np.testing.assert_array_equal(run(body, (i,), {a: x}), expected)
    empty = tensor("e", f32, 0)
    body = read(empty, i, otherwise=Const(4.0, f32))
    np.testing.assert_array_equal(run(body, (i,), {empty: np.zeros(0)}), [4.0] * 5)


@pytest.mark.parametrize("index", ["diagonal", "transposed", "strided", "divided", "reversed"])
def test_affine_reads(index: str) -> None:
    a = tensor("a", f32, 5, 5)
    x = rng.standard_normal((5, 5))
    p, q = it("p", 0, 5), it("q", 0, 2)
    forms: dict[str, tuple[tuple[object, ...], object]] = {
        "diagonal": ((p, p), lambda m, n: x[m, m]),
        "transposed": ((q, p), lambda m, n: x[n, m]),
        "strided": ((p, Int.of(q) * 3 + 1), lambda m, n: x[m, 3 * n + 1]),
        "divided": ((Int.of(p) // 2, Int.of(p) % 2 + q), lambda m, n: x[m // 2, m % 2 + n]),
        "reversed": ((4 - Int.of(p), 1 - Int.of(q)), lambda m, n: x[4 - m, 1 - n]),
    }
    where, expected = forms[index]
    got = run(read(a, *where), (p, q), {a: x})
    np.testing.assert_array_equal(got, [[expected(m, n) for n in range(2)] for m in range(5)])  # type: ignore[operator]


def test_gathers_and_their_faults() -> None:
    table, ids = tensor("table", f32, 4, 2), tensor("ids", i32, 5)
    d = it("d", 0, 2)
    body = read(table, Value(read(ids, i)), d)
    t = rng.standard_normal((4, 2))
    good = np.array([3, 0, 0, 1, 2])
    np.testing.assert_array_equal(run(body, (i, d), {table: t, ids: good}), t[good])
    for bad in (4, -1):
        with pytest.raises(IndexError, match=rf"index {bad} is outside axis 0 of 'table'.*0:4"):
            run(body, (i, d), {table: t, ids: np.array([0, 1, bad, 2, 3])})
    guarded = read(table, Value(read(ids, i)), d, otherwise=Const(0.0, f32))
    got = run(guarded, (i, d), {table: t, ids: np.array([0, 9, -2, 3, 4])})
    np.testing.assert_array_equal(got, [t[0], [0, 0], [0, 0], t[3], [0, 0]])


def test_reductions_with_nan_and_positions() -> None:
    a = tensor("a", f32, 3, 4)
    p, q = it("p", 0, 3), it("q", 0, 4)
    x = np.array([[1, 5, 5, 2], [np.nan, 9, np.nan, 1], [-np.inf, np.inf, 0, np.inf]])
    shifted = it("s", 2, 4)
    for name, expected in {
        "argmax": [1, 0, 1],
        "argmin": [0, 0, 0],
        "max": x.max(1),
        "min": x.min(1),
        "prod": x.prod(1),
    }.items():
        got = run(Reduce(name, (q,), read(a, p, q)), (p,), {a: x})
        np.testing.assert_array_equal(got, expected)
    late = run(Reduce("argmin", (shifted,), read(a, p, shifted)), (p,), {a: x})
    assert late.tolist() == [3, 2, 2] and late.dtype == np.int64
    positive = op("gt", read(a, p, q), Const(0.0, f32), dtype=boolean)
    assert run(Reduce("any", (q,), positive), (p,), {a: x}).tolist() == [True, True, True]
    assert run(Reduce("all", (q,), positive), (p,), {a: x}).tolist() == [True, False, False]


def test_empty_reductions_and_empty_results() -> None:
    none = it("n", 0, 0)
    a = tensor("a", f32, 0)
    assert run(Reduce("sum", (none,), read(a, none)), (i,), {a: np.zeros(0)}).tolist() == [0.0] * 5
    assert run(Reduce("prod", (none,), read(a, none)), (), {a: np.zeros(0)}).tolist() == 1.0
    assert run(read(a, none), (none,), {a: np.zeros(0)}).shape == (0,)


def test_nested_reductions_use_outer_iterators() -> None:
    a = tensor("a", f32, 5, 3)
    x = rng.standard_normal((5, 3))
    largest = Reduce("max", (k,), read(a, i, k))
    k2 = it("k2", 0, 3)
    body = Reduce("sum", (k2,), op("exp", op("sub", read(a, i, k2), largest)))
    np.testing.assert_allclose(run(body, (i,), {a: x}), np.exp(x - x.max(1, keepdims=True)).sum(1))


def test_scans_read_what_they_made() -> None:
    a, x, h0 = tensor("a", f32, 6, 2), tensor("x", f32, 6, 2), tensor("h0", f32, 2)
    h = tensor("h", f32, 6, 2)
    t, d = it("t", 0, 6), it("d", 0, 2)
    earlier = read(h, Int.of(t) - 1, d, otherwise=read(h0, d))
    body = op("add", op("mul", read(a, t, d), earlier), read(x, t, d))
    program = Program("p", (), (a, x, h0), (h,), (Scan(t, (Definition(h, (t, d), body),)),))
    va, vx, vh = rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), rng.standard_normal(2)
    (got,) = interpret(program, {"a": va, "x": vx, "h0": vh})
    state, expected = vh, []
    for n in range(6):
        state = va[n] * state + vx[n]
        expected.append(state)
    np.testing.assert_allclose(got, expected)


def test_conversions_truncate_saturate_round_and_wrap() -> None:
    a = tensor("a", f32, 5)
    x = np.array([np.nan, 1e30, -1e30, -1.7, 2.5])
    cast = lambda t: run(op("cast", read(a, i), dtype=t), (i,), {a: x}).tolist()  # noqa: E731
    assert cast(i8) == [0, 127, -128, -1, 2]
    assert cast(u32) == [0, 2**32 - 1, 0, 0, 2]
    assert cast(i64) == [0, 2**63 - 1, -(2**63), -1, 2]
    assert cast(i4) == [0, 7, -8, -1, 2]
    assert cast(boolean) == [True] * 5
    assert cast(f16)[1:] == [math.inf, -math.inf, float(np.float16(-1.7)), 2.5]
    assert math.isnan(cast(f8e4m3)[1]) and cast(f8e4m3)[4] == 2.5
    b = tensor("b", i32, 5)
    n = np.array([300, -1, 8, -9, 255])
    assert run(op("cast", read(b, i), dtype=u8), (i,), {b: n}).tolist() == [44, 255, 8, 247, 255]
    assert run(op("cast", read(b, i), dtype=i4), (i,), {b: n}).tolist() == [-4, -1, -8, 7, -1]


def test_narrow_floats_are_rounded_once() -> None:
    a = tensor("a", f32, 5)
    # 1 + 2**-8 + 2**-30 is above the midpoint of bf16; through float32 it would fall on the even side.
    x = np.array([1 + 2**-8 + 2**-30, 1 + 2**-8, 1 + 3 * 2**-8, 3.3895e38, 1e-45])
    got = run(op("cast", read(a, i), dtype=bf16), (i,), {a: x})
    assert got[:3].tolist() == [1 + 2**-7, 1.0, 1 + 2**-6]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = rng.standard_normal((5, 3)), rng.standard_normal((3, 7))
    x[2, 1] = np.nan
    bodies = [
        Reduce("sum", (k,), op("mul", read(X, i, k), read(W, k, j))),
        Reduce("sum", (k,), op("add", read(X, i, k), read(W, k, j))),
        Reduce("argmax", (k,), op("sub", read(X, i, k), read(W, k, j))),
        Reduce("argmin", (k,), op("sub", read(X, i, k), read(W, k, j))),
        Reduce("max", (k,), op("minimum", read(X, i, k), read(W, k, j))),
        IndexValue(Int.of(i) * 10 - Int.of(j) // 2, i32),
    ]
    for body in bodies:
        whole = run(body, (i, j), {X: x, W: w})
        for limit in (1, 9, 40):
            monkeypatch.setattr("tcomp.ir.tensor.interpreter._BLOCK_ELEMENTS", limit)
            np.testing.assert_allclose(run(body, (i, j), {X: x, W: w}), whole, rtol=1e-12)
        monkeypatch.undo()


def test_scalars_and_locals_that_do_not_start_at_zero() -> None:
    a = tensor("a", f32, 5)
    p = it("p", -1, 6)
    local = Tensor("l", f32, ((Int.of(-1), Int.of(6)),))
    out = tensor("out", f32)
    s = it("s", -1, 6)
    program = Program(
        "p",
        (),
        (a,),
        (out,),
        (
            Definition(local, (p,), read(a, p, otherwise=Const(10.0, f32))),
            Definition(out, (), Reduce("sum", (s,), read(local, s))),
        ),
    )
    (got,) = interpret(program, {"a": np.arange(5.0)})
    assert got.shape == () and got == 10 + 0 + 1 + 2 + 3 + 4 + 10
