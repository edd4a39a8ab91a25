"""Compiled loop modules against the loop interpreter and NumPy: control flow, locals, parallel loops."""

import numpy as np
import pytest

from tcomp.ir.dtypes import boolean, f32, i32, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Check,
    Const,
    Declare,
    For,
    Function,
    Horizontal,
    If,
    IntValue,
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Space,
    Store,
)
from tests.compiled import Compiled


def argument(name, dtype, extent):
    return Buffer(name, dtype, extent, Space.ARGUMENT)


def module(arguments, body, extra=(), faults=()):
    return Module("m", arguments, (Function("k", (*arguments, *extra), tuple(body)),), faults)


def run(program, *arrays):
    """Results of the compiled module; the interpreter's must have the same bits."""
    compiled, meant = [a.copy() for a in arrays], [a.copy() for a in arrays]
    assert Compiled(program)(*compiled) == interpret(program, meant)
    for got, expected in zip(compiled, meant, strict=True):
        np.testing.assert_array_equal(got, expected)
    return compiled


def add(a, b):
    return Op("add", (a, b), a.dtype)


def test_sum_in_vector_accumulators():
    x, y = argument("x", f32, 96), argument("y", f32, 1)
    i, acc = LoopVar("i", 0, 80), Local("acc", f32, 16)
    body = [
        Declare(acc, Const(0.0, f32, 16)),
        For(i, Int.of(0), Int.of(96), (Assign(acc, add(acc, Load(x, Int.of(i), 16))),), 16),
        Store(y, Int.of(0), Horizontal("add", acc)),
    ]
    data = np.arange(96, dtype=np.float32)
    assert run(module((x, y), body), data, np.zeros(1, np.float32))[1][0] == data.sum()


def test_nested_loops_carry_locals_through_both():
    y = argument("y", i64, 2)
    i, j = LoopVar("i", 0, 4), LoopVar("j", 0, 6)
    count, last = Local("count", i64), Local("last", i64)
    inner = For(
        j,
        Int.of(i),
        Int.of(7),
        (
            Assign(count, add(count, Const(1, i64))),
            Assign(last, IntValue(Int.of(i) * 10 + Int.of(j), i64)),
        ),
    )
    body = [
        Declare(count, Const(0, i64)),
        Declare(last, Const(-1, i64)),
        For(i, Int.of(0), Int.of(5), (inner,)),
        Store(y, Int.of(0), count),
        Store(y, Int.of(1), last),
    ]
    assert run(module((y,), body), np.zeros(2, np.int64))[0].tolist() == [7 + 6 + 5 + 4 + 3, 46]


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_loop_that_may_not_run_keeps_its_locals(limit):
    n, y = argument("n", i64, 1), argument("y", i64, 1)
    from tcomp.ir.integer import Value

    i, acc = LoopVar("i", 0, 99), Local("acc", i64)
    bound = Int.of(Value(Load(n, Int.of(0))))
    body = [
        Declare(acc, Const(100, i64)),
        For(i, Int.of(0), bound, (Assign(acc, add(acc, IntValue(Int.of(i), i64))),)),
        Store(y, Int.of(0), acc),
    ]
    got = run(module((n, y), body), np.array([limit]), np.zeros(1, np.int64))
    assert got[1][0] == 100 + sum(range(limit))


def test_branches_join_locals():
    x, y = argument("x", i32, 9), argument("y", i32, 9)
    i, v = LoopVar("i", 0, 8), Local("v", i32)
    big = Op("gt", (Load(x, Int.of(i)), Const(4, i32)), boolean)
    body = [
        For(
            i,
            Int.of(0),
            Int.of(9),
            (
                Declare(v, Const(7, i32)),
                If(
                    big,
                    (
                        Assign(v, Load(x, Int.of(i))),
                        If(Op("eq", (v, Const(6, i32)), boolean), (Assign(v, Const(60, i32)),)),
                    ),
                ),
                Store(y, Int.of(i), v),
            ),
        )
    ]
    data = np.arange(9, dtype=np.int32)
    got = run(module((x, y), body), data, np.zeros(9, np.int32))[1]
    assert got.tolist() == [7, 7, 7, 7, 7, 5, 60, 7, 8]


@pytest.mark.parametrize("extent", [8, 5000])
@pytest.mark.parametrize("grain", [1, 3])
def test_parallel_loop_with_private_buffer_and_captured_values(extent, grain):
    """Rows are scaled through a private row buffer, on the stack and in the workspace."""
    rows = 7
    x, y = argument("x", f32, rows * extent), argument("y", f32, rows * extent)
    row = Buffer("row", f32, extent, Space.PRIVATE)
    i, j, k = LoopVar("i", 0, rows - 1), LoopVar("j", 0, extent - 1), LoopVar("o", 1, 2)
    scale, wide = Local("scale", f32), Local("wide", f32, 8)
    at = Int.of(i) * extent + Int.of(j)
    fill = For(j, Int.of(0), Int.of(extent), (Store(row, Int.of(j), add(Load(x, at), scale)),))
    total = add(Load(row, Int.of(j), 8), wide)
    total = add(total, Broadcast(IntValue(Int.of(k), f32), 8))
    drain = For(j, Int.of(0), Int.of(extent), (Store(y, at, total),), 8)
    body = [
        Declare(scale, Load(x, Int.of(0))),
        Declare(wide, Load(x, Int.of(0), 8)),
        For(
            k,
            Int.of(1),
            Int.of(3),
            (For(i, Int.of(0), Int.of(rows), (fill, drain), parallel=True, grain=grain),),
        ),
    ]
    data = np.random.default_rng(0).random(rows * extent, np.float32)
    got = run(module((x, y), body, (row,)), data, np.zeros_like(data))[1]
    expected = ((data + data[0]).reshape(-1, 8) + data[:8]) + np.float32(2)
    np.testing.assert_array_equal(got, expected.reshape(-1))


def test_parallel_loop_with_a_step_and_a_late_start():
    y, i = argument("y", i64, 20), LoopVar("i", 3, 18)
    loop = For(
        i, Int.of(3), Int.of(20), (Store(y, Int.of(i), IntValue(Int.of(i) * 2, i64)),), 5, True, 1
    )
    got = run(module((y,), [loop]), np.zeros(20, np.int64))[0]
    assert got.nonzero()[0].tolist() == [3, 8, 13, 18] and got[18] == 36


def test_checks_stop_later_kernels_but_not_their_own():
    x, y = argument("x", i32, 8), argument("y", i64, 2)
    positive = Op("ge", (Load(x, Int.of(0), 8), Const(0, i32, 8)), boolean)
    first = Function("a", (x, y), (Check(positive, 2), Store(y, Int.of(0), Const(1, i64))))
    second = Function("b", (y,), (Store(y, Int.of(1), Const(1, i64)),))
    program = Module("m", (x, y), (first, second), ("unused", "negative"))
    fine = run(program, np.arange(8, dtype=np.int32), np.zeros(2, np.int64))
    assert fine[1].tolist() == [1, 1]
    bad = run(program, np.arange(8, dtype=np.int32) - 7, np.zeros(2, np.int64))
    assert bad[1].tolist() == [1, 0]


def test_reads_after_writes_are_fresh():
    """A value read before a loop, written in it and read again must not be reused."""
    y, z = argument("y", i32, 1), argument("z", i32, 4)
    i = LoopVar("i", 0, 2)
    bump = Store(y, Int.of(0), add(Load(y, Int.of(0)), Const(1, i32)))
    body = [
        Store(z, Int.of(0), Load(y, Int.of(0))),
        For(i, Int.of(0), Int.of(3), (bump, Store(z, Int.of(i) + 1, Load(y, Int.of(0))))),
    ]
    got = run(module((y, z), body), np.zeros(1, np.int32), np.zeros(4, np.int32))
    assert got[1].tolist() == [0, 1, 2, 3]


def test_kernels_share_workspace_in_turn():
    y = argument("y", f32, 16)
    a, b, c = (Buffer(n, f32, 16, Space.WORKSPACE) for n in "abc")
    wide = Const(1.0, f32, 16)
    kernels = (
        Function("one", (a,), (Store(a, Int.of(0), wide),)),
        Function("two", (a, b), (Store(b, Int.of(0), add(Load(a, Int.of(0), 16), wide)),)),
        Function("three", (b, c), (Store(c, Int.of(0), add(Load(b, Int.of(0), 16), wide)),)),
        Function("four", (c, y), (Store(y, Int.of(0), Load(c, Int.of(0), 16)),)),
    )
    program = Module("m", (y,), kernels)
    assert run(program, np.zeros(16, np.float32))[0].tolist() == [3.0] * 16
    assert Compiled(program).emitted.shared_bytes == 2 * 64
