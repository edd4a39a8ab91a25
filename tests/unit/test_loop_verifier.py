"""Each rule of loop programs is broken once; the message says what is wrong."""

import pytest

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import boolean, f32, f64, i8, u8
from tcomp.ir.integer import Int, Value
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
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Prefetch,
    Shuffle,
    Space,
    Store,
    truth,
)
from tcomp.ir.loop.verifier import verify_module

X = Buffer("x", f32, 8, Space.ARGUMENT)
Y = Buffer("y", f32, 8, Space.ARGUMENT)
P = Buffer("p", f32, 8, Space.PRIVATE)
I, J = LoopVar("i", 0, 7), LoopVar("j", 0, 7)
ACC = Local("acc", f32)
ONE, WIDE = Const(1.0, f32), Const(1.0, f32, 4)
ZERO = Int.of(0)


def store(value, **options):
    return Store(X, ZERO, value, **options)


def loop(var, *body, **options):
    return For(var, ZERO, Int.of(8), body, **options)


def check(*body, buffers=(X, P), faults=("bad",)):
    verify_module(Module("m", (X,), (Function("k", buffers, body),), faults))


def test_good_module():
    check(
        Declare(ACC, ONE),
        loop(I, Assign(ACC, Op("add", (ACC, Load(X, Int.of(I))), f32))),
        If(Op("lt", (ACC, ONE), boolean), (store(ACC),), (Check(truth(True, 4), 1),)),
        loop(J, Store(P, Int.of(J), ACC), store(Load(P, Int.of(J))), parallel=True),
    )


BROKEN = {
    "'acc' is not declared": [store(ACC)],
    "'acc' is declared twice": [Declare(ACC, ONE), Declare(ACC, ONE)],
    "'acc' is f32, its value f32x4": [Declare(ACC, WIDE)],
    "parallel loop assigns 'acc'": [Declare(ACC, ONE), loop(I, Assign(ACC, ONE), parallel=True)],
    "parallel loop inside another": [loop(I, loop(J, store(ONE), parallel=True), parallel=True)],
    "inside itself": [loop(I, loop(I, store(ONE)))],
    "no loop variable here": [Store(X, Int.of(I), ONE)],
    "leaves the bounds": [For(I, ZERO, Int.of(9), (store(ONE),))],
    "does not list 'y'": [store(Load(Y, ZERO))],
    "value is f64, elements are f32": [store(Const(1.0, f64))],
    "mask is boolx2 for 4 lanes": [store(WIDE, mask=truth(True, 2))],
    "mask is f32 for 1 lanes": [store(Load(X, ZERO, mask=ONE))],
    "in and out of parallel loops": [
        Store(P, ZERO, ONE),
        loop(I, Store(P, ZERO, ONE), parallel=True),
    ],
    "different numbers of lanes": [store(Op("add", (ONE, WIDE), f32))],
    "cannot take \\(i8, i8\\)": [Declare(Local("v", i8), Op("add", (Const(1, i8),) * 2, i8))],
    "'lt' gives bool, not f32": [store(Op("lt", (ONE, ONE), f32))],
    "bitcast from f32 to u8": [Declare(Local("v", u8), Op("bitcast", (ONE,), u8))],
    "gather by u8": [store(Gather(X, ZERO, Const(1, u8)))],
    "broadcast of a vector": [store(Broadcast(WIDE, 4))],
    "fold by 'neg'": [store(Horizontal("neg", WIDE))],
    "shuffle of": [store(Shuffle(WIDE, WIDE, (8,)))],
    "if needs one bool": [If(truth(True, 4), ())],
    "unknown fault 2": [Check(truth(True), 2)],
    "step and grain": [loop(I, step=0)],
    "prefetch into level 3": [Prefetch(X, ZERO, 3)],
    "an address holds f32": [Store(X, Int.of(Value(ONE)), ONE)],
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_module(message):
    with pytest.raises(InternalError, match=message):
        check(*BROKEN[message])


def test_broken_buffers():
    with pytest.raises(InternalError, match="no argument of the module"):
        check(buffers=(X, Y))
    with pytest.raises(InternalError, match="one name"):
        check(buffers=(X, X))
