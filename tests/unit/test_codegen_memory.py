"""Loads, stores and gathers of every type, stride and mask, on buffers that end at a protected page."""

import numpy as np
import pytest

from tcomp.codegen.host import host_target
from tcomp.codegen.named import target_named
from tcomp.ir import dtypes
from tcomp.ir.dtypes import boolean, f32, i32, i64, u8
from tcomp.ir.integer import Int, Value
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.loop.nodes import (
    Broadcast,
    Buffer,
    Const,
    For,
    Function,
    Gather,
    IntValue,
    Load,
    LoopVar,
    Module,
    Op,
    Shuffle,
    Space,
    Store,
    truth,
)
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards

pytestmark = requires_guards
STORAGE = [t for t in dtypes.ALL if not t.is_packed]


def argument(name, dtype, extent):
    return Buffer(name, dtype, extent, Space.ARGUMENT)


def machines():
    """This one, and the older ones whose code it runs."""
    older = ("x86-64-v2", "x86-64-v3") if host_target().vector_bits >= 512 else ()
    return [None, *older]


def run(arguments, body, arrays, edge="end", machine=None):
    program = Module("m", arguments, (Function("k", arguments, tuple(body)),))
    compiled, meant = [guarded(a, edge) for a in arrays], [a.copy() for a in arrays]
    target = machine and target_named(machine)
    assert Compiled(program, target)(*compiled) == interpret(program, meant)
    for got, expected in zip(compiled, meant, strict=True):
        np.testing.assert_array_equal(got.view(np.uint8), expected.view(np.uint8))
    return compiled


def sample(dtype, count):
    """Values of a type with all bits in use, but no NaN."""
    raw = np.random.default_rng(1).integers(0, 256, count * dtype.bytes, np.uint8)
    if dtype.is_bool:
        return raw % 2 == 1
    values = raw.view(dtype.numpy)
    if dtype.is_float:
        values = np.where(np.isnan(values), np.asarray(1, dtype.numpy), values)
    return values


def lanes_where(lanes, every):
    """A mask that is computed: lane % every == 0."""
    numbers = IntValue(Int.of(0), i32, lanes, 1)
    low = Op("bit_and", (numbers, Const(every - 1, i32, lanes)), i32)
    return Op("eq", (low, Const(0, i32, lanes)), boolean)


@pytest.mark.parametrize("dtype", STORAGE, ids=str)
@pytest.mark.parametrize("edge", ["end", "start"])
def test_copies_of_whole_vectors_and_single_elements(dtype, edge):
    x, y = argument("x", dtype, 35), argument("y", dtype, 35)
    body = [Store(y, Int.of(0), Load(x, Int.of(0), 32))]
    body += [Store(y, Int.of(k), Load(x, Int.of(k))) for k in range(32, 35)]
    data = sample(dtype, 35)
    got = run((x, y), body, [data, np.zeros_like(data)], edge)[1]
    np.testing.assert_array_equal(got, data)


@pytest.mark.parametrize("dtype", STORAGE, ids=str)
@pytest.mark.parametrize("lanes", [1, 16])
def test_masked_tails_touch_nothing_beyond(dtype, lanes):
    """The vector's upper lanes lie on the protected page."""
    count = 5 if lanes > 1 else 0
    x, y = argument("x", dtype, 5), argument("y", dtype, 5)
    numbers = IntValue(Int.of(0), i32, lanes, 1)
    tail = Op("lt", (numbers, Const(count, i32, lanes)), boolean)
    start = Int.of(0 if lanes > 1 else 5)
    body = [Store(y, start, Load(x, start, lanes, mask=tail), mask=tail)]
    data = sample(dtype, 5)
    got = run((x, y), body, [data, np.zeros_like(data)])[1]
    np.testing.assert_array_equal(got, data if count else np.zeros_like(data))


@pytest.mark.parametrize("machine", machines())
@pytest.mark.parametrize("dtype", STORAGE, ids=str)
@pytest.mark.parametrize("first, count", [(0, 1), (0, 3), (0, 7), (-2, 5), (3, 20), (-40, 1)])
def test_stores_under_known_masks(dtype, first, count, machine):
    """Lanes first + 2 * lane < count; those that are masked off keep what was there."""
    lanes = 16
    numbers = IntValue(Int.of(first), i32, lanes, 2)
    mask = Op("lt", (numbers, Const(count, i32, lanes)), boolean)
    kept = sum(first + 2 * lane < count for lane in range(lanes))
    x, y = argument("x", dtype, lanes), argument("y", dtype, kept)
    data = sample(dtype, lanes)
    body = [Store(y, Int.of(0), Load(x, Int.of(0), lanes), mask=mask)]
    for edge in ("end", "start"):
        got = run((x, y), body, [data, np.zeros_like(data[:kept])], edge, machine)[1]
        np.testing.assert_array_equal(got, data[:kept])


@pytest.mark.parametrize("dtype", [dtypes.f64, f32, dtypes.bf16, u8, boolean], ids=str)
@pytest.mark.parametrize("stride", [-3, -1, 0, 2, 3, 4, 7])
@pytest.mark.parametrize("edge", ["end", "start"])
@pytest.mark.parametrize("lanes", [2, 8])
def test_strided_loads_stay_within_the_elements_they_want(dtype, stride, edge, lanes):
    extent = abs(stride) * (lanes - 1) + 1
    x, y = argument("x", dtype, extent), argument("y", dtype, lanes)
    first = max(0, -stride * (lanes - 1))
    data = sample(dtype, extent)
    body = [Store(y, Int.of(0), Load(x, Int.of(first), lanes, stride))]
    got = run((x, y), body, [data, np.zeros(lanes, data.dtype)], edge)[1]
    np.testing.assert_array_equal(got, data[first + stride * np.arange(lanes)])


@pytest.mark.parametrize("dtype", [dtypes.f64, f32, dtypes.i16, boolean], ids=str)
@pytest.mark.parametrize("stride", [-2, 0, 2, 3, 4, 5])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
@pytest.mark.parametrize("edge", ["end", "start"])
def test_masked_strided_loads_and_stores(dtype, stride, lanes, edge):
    last = lanes - 2  # one more lane lies outside, and is masked off
    extent = abs(stride) * last + 1
    x, y = argument("x", dtype, extent), argument("y", dtype, lanes)
    z = argument("z", dtype, 2 * last + 1)
    first = Int.of(max(0, -stride * last))
    mask = lanes_where(lanes, 2)
    body = [
        Store(y, Int.of(0), Load(x, first, lanes, stride, mask)),
        Store(z, Int.of(0), Load(y, Int.of(0), lanes), 2, mask),
    ]
    data = sample(dtype, extent)
    zeros = [np.zeros(count, data.dtype) for count in (lanes, 2 * last + 1)]
    run((x, y, z), body, [data, *zeros], edge)


@pytest.mark.parametrize("dtype", [dtypes.f64, f32, i32, dtypes.f16, boolean], ids=str)
@pytest.mark.parametrize("stride", [2, 3, 4, 5])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
@pytest.mark.parametrize("masked", [False, True])
def test_strided_stores_touch_only_their_elements(dtype, stride, lanes, masked):
    extent = stride * (lanes - 1) + 1
    x, y = argument("x", dtype, lanes), argument("y", dtype, extent)
    mask = lanes_where(lanes, 2) if masked else None
    body = [Store(y, Int.of(0), Load(x, Int.of(0), lanes), stride, mask)]
    data, before = sample(dtype, lanes), sample(dtype, extent)
    got = run((x, y), body, [data, before])[1]
    np.testing.assert_array_equal(
        got[:: stride * (2 if masked else 1)], data[:: 2 if masked else 1]
    )


def test_strided_stores():
    x, y = argument("x", f32, 8), argument("y", f32, 22)
    data = np.arange(8, dtype=np.float32)
    body = [Store(y, Int.of(21), Load(x, Int.of(0), 8), -3)]
    got = run((x, y), body, [data, np.zeros(22, np.float32)])[1]
    assert got[21::-3].tolist() == data.tolist() and got.sum() == data.sum()


@pytest.mark.parametrize("dtype", [dtypes.f64, f32, i64, dtypes.f16, u8], ids=str)
@pytest.mark.parametrize("index", [i32, i64], ids=str)
@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("masked", [False, True])
def test_gathers(dtype, index, lanes, masked):
    x, ix, y = argument("x", dtype, 50), argument("ix", index, lanes), argument("y", dtype, lanes)
    places = np.random.default_rng(3).integers(0, 49, lanes).astype(index.numpy)
    mask = None
    if masked:
        mask = lanes_where(lanes, 4)
        places[1:2] = 1 << 30
    data = sample(dtype, 50)
    body = [Store(y, Int.of(0), Gather(x, Int.of(1), Load(ix, Int.of(0), lanes), mask))]
    run((x, ix, y), body, [data, places, np.zeros(lanes, data.dtype)])


def test_addresses_with_divisions_remainders_minima_and_values():
    x, ix, y = argument("x", i64, 60), argument("ix", u8, 12), argument("y", i64, 12)
    i = LoopVar("i", 0, 11)
    p = Int.of(i)
    row = Int.of(Value(Load(ix, p)))
    at = (p - 6) // 4 * 3 + 6 + (p - 7) % 5 + row * 10 + p.min(3)
    loop = For(i, Int.of(0), Int.of(12), (Store(y, p, Load(x, at)),))
    data, rows = np.arange(60), np.random.default_rng(0).integers(0, 3, 12).astype(np.uint8)
    got = run((x, ix, y), [loop], [data, rows, np.zeros(12, np.int64)])[2]
    n = np.arange(12)
    expected = (n - 6) // 4 * 3 + 6 + (n - 7) % 5 + rows * 10 + np.minimum(n, 3)
    np.testing.assert_array_equal(got, expected)


def test_constant_masks():
    x, y = argument("x", f32, 8), argument("y", f32, 8)
    body = [
        Store(y, Int.of(0), Load(x, Int.of(100), 8, mask=truth(False, 8)), mask=truth(True, 8)),
        Store(y, Int.of(100), Load(x, Int.of(0), 8), mask=truth(False, 8)),
    ]
    got = run((x, y), body, [np.ones(8, np.float32), np.ones(8, np.float32)])[1]
    assert not got.any()


def test_transpose_in_registers():
    n = 4
    x, y = argument("x", f32, n * n), argument("y", f32, n * n)
    rows = [Load(x, Int.of(n * k), n) for k in range(n)]
    low = [Shuffle(rows[a], rows[a + 1], (0, 4, 1, 5)) for a in (0, 2)]
    high = [Shuffle(rows[a], rows[a + 1], (2, 6, 3, 7)) for a in (0, 2)]
    columns = [
        Shuffle(pair[0], pair[1], picks)
        for pair in (low, high)
        for picks in ((0, 1, 4, 5), (2, 3, 6, 7))
    ]
    body = [Store(y, Int.of(n * k), column) for k, column in enumerate(columns)]
    data = np.arange(16, dtype=np.float32)
    got = run((x, y), body, [data, np.zeros_like(data)])[1]
    np.testing.assert_array_equal(got.reshape(4, 4), data.reshape(4, 4).T)


def test_shuffles_of_scalars_and_single_lanes():
    x, y = argument("x", i32, 4), argument("y", i32, 4)
    pair = Shuffle(Load(x, Int.of(0)), Load(x, Int.of(3)), (1, 0, 1, 1))
    last = Shuffle(pair, pair, (5,))
    body = [Store(y, Int.of(0), Op("add", (pair, Broadcast(last, 4)), i32))]
    got = run((x, y), body, [np.array([1, 2, 3, 4], np.int32), np.zeros(4, np.int32)])[1]
    assert got.tolist() == [5, 2, 5, 5]
