"""The loop interpreter against NumPy on hand-written loop programs."""

import numpy as np
import pytest

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import bf16, boolean, f32, i32, i64
from tcomp.ir.integer import Int, Value
from tcomp.ir.loop.interpreter import fold, interpret
from tcomp.ir.loop.nodes import (
    Assign,
    Buffer,
    Check,
    Const,
    Declare,
    For,
    Function,
    Gather,
    Horizontal,
    IntValue,
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Space,
    Store,
)


def argument(name, dtype, extent):
    return Buffer(name, dtype, extent, Space.ARGUMENT)


def module(arguments, body, extra=()):
    return Module("m", arguments, (Function("k", (*arguments, *extra), tuple(body)),))


def test_vectors_accumulate_and_fold():
    x, y = argument("x", f32, 32), argument("y", f32, 1)
    i, acc = LoopVar("i", 0, 24), Local("acc", f32, 8)
    body = [
        Declare(acc, Const(0.0, f32, 8)),
        For(
            i,
            Int.of(0),
            Int.of(32),
            (Assign(acc, Op("add", (acc, Load(x, Int.of(i), 8)), f32)),),
            8,
        ),
        Store(y, Int.of(0), Horizontal("add", acc)),
    ]
    data, out = np.arange(32, dtype=np.float32), np.zeros(1, np.float32)
    assert interpret(module((x, y), body), [data, out]) == 0
    assert out[0] == data.sum()


def test_fold_takes_any_length():
    assert [fold("add", np.arange(n + 1))[0] for n in range(9)] == [
        n * (n + 1) // 2 for n in range(9)
    ]


def test_masked_gather_reads_only_where_asked():
    x, ix, y = argument("x", f32, 4), argument("ix", i32, 4), argument("y", f32, 4)
    mask = Op("lt", (Load(ix, Int.of(0), 4), Const(4, i32, 4)), boolean)
    body = [Store(y, Int.of(0), Gather(x, Int.of(0), Load(ix, Int.of(0), 4), mask))]
    out = np.full(4, 9, np.float32)
    interpret(
        module((x, ix, y), body),
        [np.arange(4, dtype=np.float32) + 1, np.array([3, 9, 0, 4], np.int32), out],
    )
    assert out.tolist() == [4, 0, 1, 0]


def test_outside_access_is_an_internal_error():
    x = argument("x", f32, 4)
    body = [Store(x, Int.of(1), Const(0.0, f32, 4))]
    with pytest.raises(InternalError, match="outside 0:4"):
        interpret(module((x,), body), [np.zeros(4, np.float32)])


def test_workspace_starts_as_garbage():
    y, w = argument("y", f32, 2), Buffer("w", f32, 2, Space.WORKSPACE)
    out = np.zeros(2, np.float32)
    interpret(module((y,), [Store(y, Int.of(0), Load(w, Int.of(0), 2))], (w,)), [out])
    assert np.isnan(out).all()


def test_check_gives_the_status_and_stops_later_kernels():
    y = argument("y", i64, 1)
    first = Function(
        "a", (y,), (Check(Const(False, boolean), 3), Store(y, Int.of(0), Const(1, i64)))
    )
    second = Function("b", (y,), (Store(y, Int.of(0), Const(2, i64)),))
    out = np.zeros(1, np.int64)
    assert interpret(Module("m", (y,), (first, second), ("", "", "bad")), [out]) == 3
    assert out[0] == 1


@pytest.mark.parametrize("value", [2**53 + 1, (1 << 62) + (1 << 54) + 1, -(1 << 61) - 7, 12345])
def test_integers_become_narrow_floats_with_one_rounding(value):
    y = argument("y", bf16, 1)
    out = np.zeros(1, bf16.numpy)
    interpret(
        module((y,), [Store(y, Int.of(0), Op("cast", (IntValue(Int.of(value), i64),), bf16))]),
        [out],
    )
    magnitude = abs(value)
    shift = magnitude.bit_length() - 8
    down, rest = magnitude >> shift, magnitude & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    down += rest > half or (rest == half and down & 1)
    assert float(out[0]) == (down << shift) * (1 if value > 0 else -1)


def test_addresses_wrap_at_64_bits():
    """An index tensor may hold anything; where the address is guarded, its value only has to be a number."""
    ix, y = argument("ix", i64, 1), argument("y", i64, 1)
    wild = Int.of(Value(Load(ix, Int.of(0)))) * 4
    out = np.zeros(1, np.int64)
    given = np.array([2**62 + 3], np.int64)
    assert interpret(module((ix, y), [Store(y, Int.of(0), IntValue(wild, i64))]), [given, out]) == 0
    assert out[0] == (given * 4)[0] == 12
