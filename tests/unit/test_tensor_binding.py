"""Binding sizes: what is proved, what is refused, and that spans survive."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcomp.diagnostics import CompileError, Span
from tcomp.ir.dtypes import f32, i32
from tcomp.ir.integer import Int, Iter, Size, Value
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Constraint,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Tensor,
)
from tcomp.ir.tensor.reach import reach

M, N = Size("M"), Size("N")


def rng(name: str, lo: object, hi: object) -> Iter:
    return Iter(name, Int.of(lo), Int.of(hi))  # type: ignore[arg-type]


def tensor(name: str, *shape: object, dtype: object = f32) -> Tensor:
    return Tensor(name, dtype, tuple((Int.of(0), Int.of(n)) for n in shape))  # type: ignore[arg-type]


def program(body: Expr, iters: tuple[Iter, ...], *inputs: Tensor, **rest: object) -> Program:
    out = Tensor("out", body.dtype, tuple((i.lo, i.hi) for i in iters))
    return Program("p", (M, N), inputs, (out,), (Definition(out, iters, body),), **rest)  # type: ignore[arg-type]


def refused(code: str, p: Program, **sizes: object) -> CompileError:
    with pytest.raises(CompileError) as caught:
        bind(p, sizes)  # type: ignore[arg-type]
    assert caught.value.code == code
    return caught.value


X = tensor("X", M, N)
i, j = rng("i", 0, M), rng("j", 0, N)
COPY = program(Read(X, (Int.of(i), Int.of(j))), (i, j), X)


def test_binding_makes_every_extent_constant_and_keeps_spans() -> None:
    span = Span("a.tc", 3, 5, 3, 12, "    Y[i, j] = X[i, j]")
    read = Read(X, (Int.of(i), Int.of(j)))
    shifted = Apply("add", (Reduce("sum", (rng("k", 0, Int.of(N) * 2),), read), read), f32)
    bound = bind(program(shifted, (i, j), X, spans={read: span}), {"M": 3, "N": 4})
    (definition,) = bound.definitions()
    assert bound.sizes == () and bound.inputs == (tensor("X", 3, 4),)
    assert definition.iters == (rng("i", 0, 3), rng("j", 0, 4))
    total, again = definition.body.children()
    assert isinstance(total, Reduce) and total.iters == (rng("k", 0, 8),) and total.body is again
    assert bound.spans == {again: span}


def test_sizes_that_are_missing_unknown_or_no_sizes() -> None:
    assert "'M', 'N'" in refused("TC065", COPY).message
    assert "it has M, N" in refused("TC065", COPY, M=1, K=2).message
    refused("TC065", COPY, M=1, N=-1)
    refused("TC065", COPY, M=1, N=2.5)
    refused("TC065", COPY, M=1, N=True)


def test_constraints_are_checked_with_their_code_message_and_span() -> None:
    span = Span("a.tc", 1, 1, 1, 2)
    equal = Constraint(Int.of(M), "==", Int.of(N) * 2, "ranges of 'i' differ", "TC051", span)
    p = program(Const(1.0, f32), (i,), constraints=(equal,))
    assert bind(p, {"M": 6, "N": 3}).constraints == ()
    error = refused("TC051", p, M=5, N=3)
    assert error.span is span and error.message == "ranges of 'i' differ: M is 5, 2*N is 6"
    at_least = Constraint(Int.of(M), ">=", Int.of(N), "too small", "TC052")
    p = program(Const(1.0, f32), (i,), constraints=(at_least,))
    bind(p, {"M": 4, "N": 3})
    refused("TC052", p, M=2, N=3)


def test_division_by_zero_negative_extents_and_overflow() -> None:
    by_zero = program(Const(1.0, f32), (rng("i", 0, Int.of(M) // Int.of(N)),))
    assert "M=4, N=0" in refused("TC064", by_zero, M=4, N=0).message
    smaller = program(Const(1.0, f32), (rng("i", 0, Int.of(M) - N),))
    assert "'out'" in refused("TC061", smaller, M=2, N=3).message
    assert bind(smaller, {"M": 3, "N": 3}).results[0].shape == (Int.of(0),)
    refused("TC062", COPY, M=2**32, N=2**31)
    bind(COPY, {"M": 2**62, "N": 0})


def test_reductions_over_nothing() -> None:
    for op, code in {"max": "TC063", "argmin": "TC063", "sum": "", "prod": ""}.items():
        p = program(Reduce(op, (j,), Read(X, (Int.of(i), Int.of(j)))), (i,), X)
        bind(p, {"M": 0, "N": 0})
        if code:
            assert "j in 0:0" in refused(code, p, M=2, N=0).message
        else:
            bind(p, {"M": 2, "N": 0})


@pytest.mark.parametrize(
    ("index", "fits"),
    [
        (Int.of(j), True),
        (Int.of(j) + 1, False),
        (Int.of(j) - 1, False),
        (Int.of(N) - 1 - j, True),
        (Int.of(j) * 2, False),
        (Int.of(j) // 2, True),
        ((Int.of(j) + 3) % N, True),
        ((Int.of(j) // 2) * 2 + Int.of(j) % 2, True),
        ((Int.of(j) * 4) % 8, True),  # 0 or 4; intervals alone would say 0 to 7
        ((Int.of(j) * 4) % 8 + 2, False),
        ((Int.of(j) * 3 + i) // 4, True),
        ((Int.of(j) // 3) * 3 + (Int.of(j) + 1) % 3, True),
    ],
)
def test_unguarded_reads_stay_inside(index: Int, fits: bool) -> None:
    read = Read(X, (Int.of(i), index))
    guarded = Read(X, (Int.of(i), index), Const(0.0, f32))
    sizes = {"M": 5, "N": 6}
    bind(program(guarded, (i, j), X), sizes)
    if fits:
        bind(program(read, (i, j), X), sizes)
    else:
        error = refused("TC060", program(read, (i, j), X), **sizes)
        assert "'X'" in error.message and "axis 1" in error.message and "else" in error.hint


def test_data_dependent_axes_wait_for_run_time_but_the_others_do_not() -> None:
    ids = tensor("ids", N, dtype=i32)
    value = Value(Read(ids, (Int.of(j),)))
    bind(program(Read(X, (Int.of(value), Int.of(j))), (j,), X, ids), {"M": 1, "N": 3})
    outside = program(Read(X, (Int.of(value), Int.of(j) + 1)), (j,), X, ids)
    assert "axis 1" in refused("TC060", outside, M=1, N=3).message
    inner = Value(Read(ids, (Int.of(j) + 1,)))
    p = program(Read(X, (Int.of(inner), Int.of(j))), (j,), X, ids)
    assert "'ids'" in refused("TC060", p, M=1, N=3).message


def test_nothing_is_read_over_an_empty_range() -> None:
    far = Read(X, (Int.of(i), Int.of(j) + 9))
    bind(program(Reduce("sum", (j,), far), (i,), X), {"M": 3, "N": 0})
    bind(program(far, (i, j), X), {"M": 0, "N": 3})
    refused("TC060", program(far, (i, j), X), M=1, N=3)


_atoms = st.sampled_from([rng("a", 0, 3), rng("b", -2, 3), rng("c", 1, 2)])
_ints = st.recursive(
    st.one_of(_atoms.map(Int.of), st.integers(-5, 5).map(Int.of)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, st.integers(-3, 3)).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.sampled_from([1, 2, 3, 5, -2])).map(lambda p: p[0] // p[1]),
        st.tuples(inner, st.sampled_from([1, 2, 3, 5, -2])).map(lambda p: p[0] % p[1]),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(_ints)
def test_reach_is_what_enumeration_finds(index: Int) -> None:
    leaves = sorted(index.leaves(), key=lambda a: a.key)
    points = product(*(range(int(a.lo), int(a.hi)) for a in leaves))  # type: ignore[attr-defined]
    values = [
        int(index.sub(dict(zip(leaves, map(Int.of, point), strict=True)))) for point in points
    ]
    found = reach(index, 0, 0)
    assert found.exact and (found.low, found.high) == (min(values), max(values))
