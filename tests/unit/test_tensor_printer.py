"""The printed text of programs, against what a user would write."""

from __future__ import annotations

import pytest

from tcomp.ir.dtypes import boolean, f16, f32, f64, i8, i32, i64
from tcomp.ir.integer import Int, Iter, Size, Value
from tcomp.ir.tensor.expression_text import expression_text, int_text
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
from tcomp.ir.tensor.printer import print_program

M, N = Int.of(Size("M")), Int.of(Size("N"))
ZERO = Int.of(0)
i, j, k = Iter("i", ZERO, M), Iter("j", ZERO, N), Iter("k", ZERO, N)
X = Tensor("X", f32, ((ZERO, M), (ZERO, N)))
H = Tensor("H", f16, ((ZERO, M),))
B = Tensor("B", i8, ((ZERO, M),))
ids = Tensor("ids", i32, ((ZERO, N),))


def read(t: Tensor, *index: object, otherwise: Expr | None = None) -> Read:
    return Read(t, tuple(Int.of(each) for each in index), otherwise)  # type: ignore[arg-type]


def op(name: str, *args: Expr, dtype: object = None) -> Apply:
    return Apply(name, args, dtype or args[-1].dtype)  # type: ignore[arg-type]


x, y = read(X, i, j), read(X, i, Int.of(j) - 1, otherwise=Const(0.0, f32))
half = op("cast", read(H, i), dtype=f32)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (op("mul", op("add", x, x), x), "(X[i, j] + X[i, j]) * X[i, j]"),
        (op("add", op("add", x, x), x), "X[i, j] + X[i, j] + X[i, j]"),
        (op("add", x, op("add", x, x)), "X[i, j] + (X[i, j] + X[i, j])"),
        (op("sub", x, op("mul", x, x)), "X[i, j] - X[i, j] * X[i, j]"),
        (op("neg", op("add", x, x)), "-(X[i, j] + X[i, j])"),
        (op("neg", op("neg", x)), "-(-X[i, j])"),
        (op("mul", op("neg", x), x), "-X[i, j] * X[i, j]"),
        (op("add", x, y), "X[i, j] + (X[i, j - 1] else 0.0)"),
        (op("mul", x, Const(-2.0, f32)), "X[i, j] * -2.0"),
        (op("maximum", x, Const(float("-inf"), f32)), "maximum(X[i, j], -inf)"),
        (op("mul", half, x), "H[i] * X[i, j]"),
        (op("exp", half), "exp(H[i])"),
        (op("cast", half, dtype=f64), "cast(f64, cast(f32, H[i]))"),
        (Reduce("max", (k,), read(X, i, k)), "max[k in 0:N](X[i, k])"),
        (Reduce("sum", (k,), Const(1.0, f64)), "sum[k in 0:N](cast(f64, 1.0))"),
        (Reduce("sum", (k,), Const(1, i32)), "sum[k in 0:N](1)"),
        (op("add", x, IndexValue(Int.of(i) * 2 - j, f32)), "X[i, j] + (2*i - j)"),
        (op("cast", IndexValue(Int.of(i), i64), dtype=f32), "cast(f32, i)"),
        (op("lt", IndexValue(Int.of(i), i64), IndexValue(Int.of(j), i64)), "i < j"),
        (
            op("where", op("lt", x, y, dtype=boolean), Const(0.0, f32), x),
            "where(X[i, j] < (X[i, j - 1] else 0.0), 0.0, X[i, j])",
        ),
        (
            op("not", op("and", op("lt", x, x, dtype=boolean), op("lt", x, x, dtype=boolean))),
            "not (X[i, j] < X[i, j] and X[i, j] < X[i, j])",
        ),
        (read(X, Value(read(ids, j)), j), "X[ids[j], j]"),
        (read(X, Int.of(Value(read(ids, j))) * 2 - i, j), "X[2*ids[j] - i, j]"),
        (read(X, i, j, otherwise=op("add", x, x)), "X[i, j] else (X[i, j] + X[i, j])"),
        (read(X, i, j, otherwise=y), "X[i, j] else (X[i, j - 1] else 0.0)"),
        (read(X, i, j, otherwise=op("exp", x)), "X[i, j] else exp(X[i, j])"),
        (op("add", op("cast", read(B, i), dtype=i32), Const(1, i32)), "B[i] + 1"),
    ],
)
def test_expressions(expr: Expr, text: str) -> None:
    assert expression_text(expr) == text


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (Int.of(i) // 2 * 4 + Int.of(i) % 3, "4*(i//2) + i%3"),
        ((Int.of(i) - 1) // 3, "(i + 2)//3 - 1"),
        (-Int.of(i), "-i"),
        (3 - Int.of(i), "3 - i"),
        (Int.of(i) * M - N * 2 * j, "i*M - 2*j*N"),
        ((Int.of(i) // 2) % 3, "i//2%3"),
        (Int.of(-4), "-4"),
    ],
)
def test_integer_polynomials(index: Int, text: str) -> None:
    assert int_text(index) == text


def test_programs() -> None:
    h = Tensor("h", f32, ((ZERO, M),))
    s = Tensor("s", f32, ())
    out = Tensor("Y", f32, ((ZERO, M),))
    t = Iter("t", ZERO, M)
    previous = read(h, Int.of(t) - 1, otherwise=Const(0.0, f32))
    body = (
        Definition(s, (), Reduce("sum", (i, j), x)),
        Scan(t, (Definition(h, (t,), op("add", previous, read(s))),)),
        Definition(out, (i,), op("mul", read(h, i), Reduce("sum", (j,), x))),
    )
    program = Program("f", (Size("M"), Size("N")), (X,), (out, h), body)
    assert print_program(program) == (
        "def f(X: f32[M, N]) -> (Y: f32[M], h: f32[M]):\n"
        "    s = sum[i in 0:M, j in 0:N](X[i, j])\n"
        "    scan[t in 0:M] h[t] = (h[t - 1] else 0.0) + s\n"
        "    Y[i] = h[i] * sum[j in 0:N](X[i, j])\n"
    )


def test_clashing_iterators_are_renamed() -> None:
    s = Tensor("k", f32, ((ZERO, M),))
    inner = Reduce("max", (j,), read(X, i, j))
    outer = Reduce("sum", (Iter("j", ZERO, M),), op("mul", inner, read(s, Iter("j", ZERO, M))))
    out = Tensor("Y", f32, ((ZERO, M),))
    program = Program("f", (), (X, s), (out,), (Definition(out, (i,), outer),))
    assert print_program(program).splitlines()[1] == (
        "    Y[i] = sum[j_2 in 0:M](max[j in 0:N](X[i, j]) * k[j_2])"
    )
