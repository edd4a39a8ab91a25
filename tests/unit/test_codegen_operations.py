"""Primitive operations, alone and in random expressions: compiled code against the loop interpreter."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcomp.ir.dtypes import boolean, f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from tcomp.ir.integer import Int
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.loop.nodes import (
    Broadcast,
    Buffer,
    Const,
    Function,
    Horizontal,
    IntValue,
    Load,
    Module,
    Op,
    Shuffle,
    Space,
    Store,
)
from tests.compiled import Compiled

LANES = 8
INTEGERS, FLOATS = (i32, u32, i64, u64), (f32, f64)
COMPUTE = INTEGERS + FLOATS
NARROW = (i8, u8, i16, u16, f16, boolean)
SPECIAL = [0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, math.nan, 2.5, -0.5, 1e30, 3e9, -3e9, 1e-40]

ARITHMETIC = ("add", "sub", "mul")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
BITS = ("bit_and", "bit_or", "bit_xor")


def values(dtype, count, seed=0):
    """Small and large values of a type, the special ones first."""
    random = np.random.default_rng(seed)
    if dtype.is_bool:
        return random.random(count) < 0.5
    if dtype.is_float:
        drawn = random.standard_normal(count) * 10.0 ** random.integers(-3, 6, count)
        drawn[: len(SPECIAL)] = SPECIAL[:count]
        with np.errstate(all="ignore"):
            return random.permutation(drawn).astype(dtype.numpy)
    raw = random.integers(0, 256, count * dtype.bytes, np.uint8).view(dtype.numpy)
    small = random.integers(0, 5, count).astype(dtype.numpy)
    return np.where(random.random(count) < 0.5, raw, small)


def evaluate(expr, inputs):
    """The compiled value of an expression; the interpreter's must have the same bits but for NaN."""
    out = Buffer("out", expr.dtype, expr.lanes, Space.ARGUMENT)
    arguments = (*inputs, out)
    program = Module("m", arguments, (Function("k", arguments, (Store(out, Int.of(0), expr),)),))
    got, meant = (np.zeros(expr.lanes, expr.dtype.numpy) for _ in range(2))
    Compiled(program)(*inputs.values(), got)
    interpret(program, [*inputs.values(), meant])
    same = got.view(np.uint8).tobytes() == meant.view(np.uint8).tobytes()
    if not same:
        assert expr.dtype.is_float, (expr, got, meant)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(meant))
        kept = ~np.isnan(got)
        assert got[kept].tobytes() == meant[kept].tobytes(), (expr, got, meant)
    return got


def operand(name, dtype, lanes=16, seed=0):
    buffer = Buffer(name, dtype, lanes, Space.ARGUMENT)
    return Load(buffer, Int.of(0), lanes), {buffer: values(dtype, lanes, seed)}


CASES = [
    *[(op, (t, t), t) for op in ARITHMETIC for t in COMPUTE],
    *[(op, (t, t), boolean) for op in COMPARISONS for t in COMPUTE],
    *[(op, (t, t), t) for op in BITS for t in INTEGERS],
    *[(op, (t, t), t) for op in ("minimum", "maximum") for t in INTEGERS],
    *[(op, (t,), t) for op in ("neg", "abs") for t in COMPUTE],
    *[(op, (t,), t) for op in ("sqrt", "floor", "ceil", "trunc", "round") for t in FLOATS],
    *[("div", (t, t), t) for t in FLOATS],
    *[("fma", (t, t, t), t) for t in FLOATS],
    *[("where", (boolean, t, t), t) for t in (*COMPUTE, *NARROW)],
    *[(op, (boolean, boolean), boolean) for op in ("and", "or", "eq", "ne")],
    ("not", (boolean,), boolean),
    *[
        ("bitcast", (s,), t)
        for s, t in ((f32, u32), (u32, f32), (f64, i64), (i64, f64), (f16, u16))
    ],
]


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1][0]}")
def test_primitive(case, lanes):
    op, operands, result = case
    inputs, args = {}, []
    for number, dtype in enumerate(operands):
        arg, data = operand(f"x{number}", dtype, lanes, seed=number)
        args.append(arg)
        inputs |= data
    evaluate(Op(op, tuple(args), result), inputs)


PLAIN_CASTS = [
    *[(s, t) for s in INTEGERS for t in (*COMPUTE, i8, u8, i16, u16, boolean) if s is not t],
    *[
        (s, t)
        for s in (i8, u8, i16, u16, boolean)
        for t in (*COMPUTE, i8, u8, i16, u16)
        if s is not t
    ],
    *[(s, t) for s in FLOATS for t in (*INTEGERS, i8, u8, i16, u16, boolean)],
    *[(f32, f64), (f64, f32), (f16, f32), (f32, f16), (f16, f64)],
]


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("pair", PLAIN_CASTS, ids=lambda p: f"{p[0]}-{p[1]}")
def test_cast(pair, lanes):
    source, target = pair
    arg, inputs = operand("x", source, lanes)
    evaluate(Op("cast", (arg,), target), inputs)


@pytest.mark.parametrize("op", ["add", "mul", "maximum"])
@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 8, 12, 16])
def test_horizontal_folds_in_the_interpreters_order(op, lanes):
    dtype = i32 if op == "maximum" else f32
    arg, inputs = operand("x", dtype, lanes, seed=5)
    evaluate(Horizontal(op, arg), inputs)


@pytest.mark.parametrize("dtype", [i32, i64, u32, f32, f64], ids=str)
def test_lane_numbers(dtype):
    got = evaluate(IntValue(Int.of(5), dtype, 8, -3), {})
    assert got.tolist() == (5 - 3 * np.arange(8)).astype(dtype.numpy).tolist()


def test_large_lane_numbers_keep_their_digits():
    got = evaluate(IntValue(Int.of((1 << 40) + 1), f64, 4, 1), {})
    assert got.tolist() == [float((1 << 40) + 1 + k) for k in range(4)]


INPUTS = {Buffer(f"in_{t}", t, LANES, Space.ARGUMENT): t for t in (*COMPUTE, boolean)}
SOURCES = {t: Load(buffer, Int.of(0), LANES) for buffer, t in INPUTS.items()}


def leaves(dtype):
    if dtype.is_bool:
        constants = st.booleans()
    elif dtype.is_float:
        constants = st.sampled_from([*SPECIAL[:9], 3.25])
    else:
        constants = st.integers(-3 if dtype.is_signed else 0, 7)
    return st.one_of(
        st.just(SOURCES[dtype]),
        constants.map(lambda v: Const(v, dtype, LANES)),
        st.integers(0, LANES - 1).map(
            lambda k: Broadcast(Load(SOURCES[dtype].buffer, Int.of(k)), LANES)
        ),
    )


@st.composite
def expressions(draw, dtype, depth):
    if depth == 0:
        return draw(leaves(dtype))

    def below(kind=dtype):
        return draw(expressions(kind, depth - 1))

    def make(op, *args):
        return Op(op, args, dtype)

    shape = draw(st.sampled_from(["leaf", "binary", "binary", "unary", "where", "cast", "shuffle"]))
    if shape == "leaf":
        return draw(leaves(dtype))
    if shape == "where":
        return make("where", below(boolean), below(), below())
    if shape == "shuffle":
        picks = draw(st.lists(st.integers(0, 2 * LANES - 1), min_size=LANES, max_size=LANES))
        return Shuffle(below(), below(), tuple(picks))
    if shape == "cast" and not dtype.is_bool:
        return make("cast", below(draw(st.sampled_from([*COMPUTE, boolean]))))
    if dtype.is_bool:
        kind = draw(st.sampled_from(COMPUTE))
        return make(draw(st.sampled_from(COMPARISONS)), below(kind), below(kind))
    if shape == "unary":
        names = ("neg", "abs", "sqrt", "floor") if dtype.is_float else ("neg", "abs")
        return make(draw(st.sampled_from(names)), below())
    if dtype.is_float:
        if draw(st.booleans()):
            return make("fma", below(), below(), below())
        return make(draw(st.sampled_from((*ARITHMETIC, "div"))), below(), below())
    if draw(st.booleans()):
        places = Op("bit_and", (below(), Const(31, dtype, LANES)), dtype)
        return make(draw(st.sampled_from(("shift_left", "shift_right"))), below(), places)
    return make(draw(st.sampled_from((*ARITHMETIC, *BITS, "minimum", "maximum"))), below(), below())


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from((*COMPUTE, boolean)).flatmap(lambda t: expressions(t, 4)), st.integers(0, 99)
)
def test_random_expressions(expr, seed):
    evaluate(expr, {buffer: values(t, LANES, seed) for buffer, t in INPUTS.items()})


@pytest.mark.parametrize("base", [0, 5, (1 << 31) - 9, 1 << 31, -(1 << 31) - 2, 1 << 40])
@pytest.mark.parametrize("op", ["lt", "ge", "eq"])
def test_comparisons_of_lane_numbers_are_exact_at_any_size(base, op):
    numbers = IntValue(Int.of(base), i64, LANES, 1)
    limit = Const(base + 3, i64, LANES)
    got = evaluate(Op(op, (numbers, limit), boolean), {})
    expected = {"lt": [k < 3 for k in range(8)], "ge": [k >= 3 for k in range(8)]}
    assert got.tolist() == expected.get(op, [k == 3 for k in range(8)])
