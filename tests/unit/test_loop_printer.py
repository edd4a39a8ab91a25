"""Loop programs as text: what a reader sees for each construct."""

from tcomp.ir.dtypes import boolean, f32, i32, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Check,
    Const,
    Declare,
    For,
    Function,
    Gather,
    Horizontal,
    If,
    IntValue,
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Prefetch,
    Shuffle,
    Space,
    Store,
)
from tcomp.ir.loop.printer import print_expression, print_module

X = Buffer("x", f32, 64, Space.ARGUMENT)
IX = Buffer("ix", i32, 64, Space.ARGUMENT)


def test_module_with_every_statement():
    row = Buffer("row", f32, 8, Space.PRIVATE)
    i, acc = LoopVar("i", 0, 56), Local("acc", f32, 8)
    small = Op("lt", (Load(X, Int.of(0)), Const(1.0, f32)), boolean)
    body = (
        Declare(acc, Const(0.0, f32, 8)),
        For(
            i,
            Int.of(0),
            Int.of(64),
            (Assign(acc, Op("add", (acc, Load(X, Int.of(i), 8)), f32)),),
            8,
        ),
        If(small, (Check(small, 1),), (Store(row, Int.of(0), acc),)),
        Prefetch(X, Int.of(999), 2, True),
        For(i, Int.of(0), Int.of(8), (Store(X, Int.of(i), Load(row, Int.of(i))),), 1, True, 2),
    )
    module = Module("m", (X,), (Function("k", (X, row), body),), ("too large",))
    assert (
        print_module(module)
        == """\
module m(x: f32[64])
fault 1: too large

kernel k(x, row):
    private row: f32[8]
    var acc: f32x8 = 0.0:f32x8
    for i in 0:64 step 8:
        acc = (acc + x[i : 8])
    if (x[0] < 1.0:f32):
        check (x[0] < 1.0:f32) else fault 1
    else:
        row[0 : 8] = acc
    prefetch x[999] into L2 to write
    parallel for i in 0:8 grain 2:
        x[i] = row[i]
"""
    )


def test_shared_values_are_named_once():
    e = Op("exp", (Load(X, Int.of(0)),), f32)
    for _ in range(60):  # as a tree this would have 2**60 leaves
        e = Op("mul", (e, e), f32)
    text = print_module(Module("m", (X,), (Function("k", (X,), (Store(X, Int.of(0), e),)),)))
    assert "t60 := (t59 * t59)" in text and "x[0] = (t60 * t60)" in text


def test_expressions():
    lanes = Load(X, Int.of(3), 4, 2)
    cases = {
        "x[3 : 4 by 2]": lanes,
        "splat4(i64(7))": Broadcast(IntValue(Int.of(7), i64), 4),
        "i32(1 : 4)": IntValue(Int.of(1), i32, 4, 1),
        "x[2 + ix[0 : 4]]": Gather(X, Int.of(2), Load(IX, Int.of(0), 4)),
        "fold_maximum(x[3 : 4 by 2])": Horizontal("maximum", lanes),
        "shuffle(x[3 : 4 by 2], x[3 : 4 by 2]; 3, 0)": Shuffle(lanes, lanes, (3, 0)),
        "cast(i32, x[3 : 4 by 2])": Op("cast", (lanes,), i32),
        "x[0 where True:bool]": Load(X, Int.of(0), 1, 1, Const(True, boolean)),
    }
    for text, expr in cases.items():
        assert print_expression(expr) == text
