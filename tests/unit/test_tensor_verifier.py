"""The verifier accepts what is well formed and names what is not; graph views follow the reads."""

from __future__ import annotations

import pytest

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import boolean, f16, f32, f64, i32
from tcomp.ir.integer import Int, Iter, Size, Value
from tcomp.ir.tensor.graph import dependence_graph, live, topological_order, users
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
    Statement,
    Tensor,
)
from tcomp.ir.tensor.verifier import verify

ZERO, FIVE = Int.of(0), Int.of(5)
i, j, t = (Iter(n, ZERO, FIVE) for n in "ijt")
late = Iter("l", Int.of(1), FIVE)
A, B, Y = (Tensor(n, f32, ((ZERO, FIVE),)) for n in "ABY")
half, ints = Tensor("h", f16, ((ZERO, FIVE),)), Tensor("n", i32, ((ZERO, FIVE),))
a, zero = Read(A, (Int.of(i),)), Const(0.0, f32)


def program(*body: Statement, results: tuple[Tensor, ...] = (Y,)) -> Program:
    return Program("p", (Size("N"),), (A, half, ints), results, body)


def define(body: Expr, tensor: Tensor = Y, iters: tuple[Iter, ...] = (i,)) -> Definition:
    return Definition(tensor, iters, body)


GOOD = [
    define(a),
    define(Apply("cast", (Read(half, (Int.of(i),)),), f32)),
    define(Reduce("sum", (j,), Apply("mul", (a, Read(A, (Int.of(j),))), f32))),
    define(Read(A, (Int.of(Value(Read(ints, (Int.of(i),)))),), zero)),
    define(IndexValue(Int.of(i) * Size("N"), f32)),
    define(Apply("where", (Apply("lt", (a, zero), boolean), a, zero), f32)),
]

BAD = {
    "body is f16": define(Read(half, (Int.of(i),))),
    "axes are not the iterators' ranges": define(a, iters=(late,)),
    "unbound j": define(Read(A, (Int.of(j),))),
    "'B' is read before": define(Read(B, (Int.of(i),))),
    "'Y' is read before": define(Read(Y, (Int.of(i),))),
    "'A' has 1 axes": define(Read(A, (Int.of(i), Int.of(i)))),
    "after 'else'": define(Read(A, (Int.of(i),), Const(0, i32))),
    "an index holds no integer": define(Read(A, (Int.of(Value(a)),))),
    "cannot take (f32, f64)": define(Apply("add", (a, Apply("cast", (a,), f64)), f32)),
    "'lt' gives bool": define(Apply("lt", (a, a), f32)),
    "no such operation": define(Apply("plus", (a, a), f32)),
    "cannot reduce bool": define(
        Apply("cast", (Reduce("sum", (j,), Apply("lt", (a, a), boolean)),), f32)
    ),
    "takes one iterator": define(
        Apply("cast", (Reduce("argmax", (j, t), Read(A, (Int.of(j),))),), f32)
    ),
    "an iterator is bound twice: i": define(Reduce("sum", (i,), a)),
    "bound twice: j": define(Reduce("sum", (j,), Reduce("max", (j,), a))),
    "2147483648 is no constant": define(Apply("cast", (Const(2**31, i32),), f32)),
    "0.0 is no constant": define(Apply("cast", (Const(0.0, i32),), f32)),
}


@pytest.mark.parametrize("definition", GOOD)
def test_well_formed(definition: Definition) -> None:
    verify(program(definition))


@pytest.mark.parametrize("message", BAD)
def test_malformed(message: str) -> None:
    with pytest.raises(InternalError) as caught:
        verify(program(BAD[message]))
    assert message in str(caught.value)
    assert "Y[i" in str(caught.value) or "Y[l" in str(caught.value)


def test_names_results_and_starts() -> None:
    with pytest.raises(InternalError, match="two tensors are called 'Y'"):
        verify(program(define(a), define(a)))
    with pytest.raises(InternalError, match="neither defined nor"):
        verify(program(define(a), results=(B,)))
    shifted = Tensor("Y", f32, ((Int.of(1), FIVE),))
    with pytest.raises(InternalError, match="does not start at 0"):
        verify(program(define(Read(A, (Int.of(late),)), shifted, (late,)), results=(shifted,)))


@pytest.mark.parametrize(
    ("offset", "guarded", "fine"),
    [(-1, True, True), (-2, True, True), (-1, False, False), (0, True, False), (1, True, False)],
)
def test_scans_read_earlier_positions_with_a_guard(offset: int, guarded: bool, fine: bool) -> None:
    body = Read(Y, (Int.of(t) + offset,), zero if guarded else None)
    p = program(Scan(t, (define(body, iters=(t,)),)))
    if fine:
        verify(p)
    else:
        with pytest.raises(InternalError, match="may not be known"):
            verify(p)


def test_scan_blocks_follow_the_text() -> None:
    first = define(Read(Y, (Int.of(t) - 1,), zero), B, (t,))
    second = define(Read(B, (Int.of(t),)), Y, (t,))
    verify(program(Scan(t, (first, second))))
    backwards = define(Read(Y, (Int.of(t),)), B, (t,))
    with pytest.raises(InternalError, match="may not be known"):
        verify(program(Scan(t, (backwards, define(zero, Y, (t,))))))
    window = Read(Y, (Int.of(t) - 1 - Int.of(j),), zero)
    verify(program(Scan(t, (define(Reduce("sum", (j,), window), Y, (t,)),))))
    with pytest.raises(InternalError, match="lacks the iterator"):
        verify(program(Scan(t, (define(a),))))


def test_graphs_users_order_and_liveness() -> None:
    dead = Tensor("D", f32, ((ZERO, FIVE),))
    steps = (define(a, B), define(a, dead), define(Read(B, (Int.of(i),))))
    p = program(*steps)
    graph = dependence_graph(p)
    assert set(graph.edges) == {(A, B), (A, dead), (B, Y)}
    assert graph.nodes[Y]["kind"] == "result" and graph.nodes[half]["kind"] == "input"
    assert users(p)[A] == steps[:2] and users(p)[Y] == ()
    turned = program(steps[2], steps[0])
    assert topological_order(turned) == (steps[0], steps[2])
    assert topological_order(p) == steps
    assert live(p).body == (steps[0], steps[2])
