"""Scheduled programs on the loop interpreter mean what the tensor programs mean."""

from __future__ import annotations

import numpy as np
import pytest
from programs import iterator, product_chain, program, random_inputs, read, softmax, tensor, total
from schedule_harness import NARROW, WIDE, agree, run

from tcomp import schedule
from tcomp.ir.dtypes import DType, bf16, boolean, f32, f64, i8, i32, i64, u8
from tcomp.ir.integer import Int, Value
from tcomp.ir.plan import Group, Plan, Shared
from tcomp.ir.tensor import interpreter
from tcomp.ir.tensor.nodes import Apply, Const, Definition, IndexValue, Read, Reduce, Scan, Tensor
from tcomp.passes import plan as make_plan
from tcomp.target import Target

SHAPES = [(1, 1), (3, 5), (7, 100), (33, 70), (2, 300)]
TARGETS = pytest.mark.parametrize("target", [WIDE, NARROW], ids=["512", "256"])


@TARGETS
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_rows(shape: tuple[int, int], target: Target) -> None:
    p = softmax(*shape)
    agree(p, random_inputs(p), target)


@TARGETS
@pytest.mark.parametrize("shape", [*SHAPES, (0, 4), (4, 0)])
def test_elementwise_and_transpose(shape: tuple[int, int], target: Target) -> None:
    x, i, j = tensor("X", *shape, dtype=f32), iterator("i", shape[0]), iterator("j", shape[1])
    y, z = tensor("Y", *shape, dtype=f32), tensor("Z", *shape[::-1], dtype=f32)
    shifted = Apply("add", (read(x, i, j), Const(1.5, f32)), f32)
    p = program([x], [y, z], Definition(y, (i, j), shifted), Definition(z, (j, i), read(x, i, j)))
    agree(p, random_inputs(p), target)


@TARGETS
@pytest.mark.parametrize("op", ["sum", "max", "min", "prod", "argmax", "argmin"])
@pytest.mark.parametrize("dtype", [f32, i32, f64])
@pytest.mark.parametrize("shape", SHAPES)
def test_reductions_along_either_axis(
    op: str, dtype: DType, shape: tuple[int, int], target: Target
) -> None:
    x = tensor("X", *shape, dtype=dtype)
    i, j = iterator("i", shape[0]), iterator("j", shape[1])
    for kept, reduced in ((i, j), (j, i)):
        body = Reduce(op, (reduced,), read(x, i, j))
        out = Tensor("R", body.dtype, ((kept.lo, kept.hi),))
        p = program([x], [out], Definition(out, (kept,), body))
        agree(p, random_inputs(p), target)


@pytest.mark.parametrize("op", ["argmax", "argmin", "max", "min"])
def test_the_first_nan_wins(op: str) -> None:
    x = tensor("X", 70, dtype=f32)
    i = iterator("i", 70)
    body = Reduce(op, (i,), read(x, i))
    out = Tensor("R", body.dtype, ())
    p = program([x], [out], Definition(out, (), body))
    data = np.zeros(70, np.float32)
    for places in ([], [69], [41, 3, 66], [0]):
        data[:] = 1
        data[places] = np.nan
        agree(p, {"X": data}, WIDE)
        agree(p, {"X": np.repeat(data, 1)}, NARROW)


@TARGETS
def test_product_and_stencil(target: Target) -> None:
    a, b = tensor("A", 9, 33, dtype=f32), tensor("B", 33, 21, dtype=f32)
    c, definition = product_chain("C", a, b)
    i, j, r, s = iterator("i", 9), iterator("j", 33), iterator("r", 3), iterator("s", 3)
    y = tensor("Y", 9, 33, dtype=f32)
    zero = Const(0.0, f32)
    near = read(a, Int.of(i) + Int.of(r) - 1, Int.of(j) + Int.of(s) - 1, otherwise=zero)
    p = program([a, b], [c, y], definition, Definition(y, (i, j), total(near, r, s)))
    agree(p, random_inputs(p), target)


def test_results_that_are_inputs_are_copied() -> None:
    x = tensor("X", 5, dtype=f32)
    p = program([x], [x])
    agree(p, random_inputs(p))


@TARGETS
@pytest.mark.parametrize("dtype", [bf16, i8, u8, boolean])
def test_narrow_types(dtype: DType, target: Target) -> None:
    x, i = tensor("X", 37, dtype=dtype), iterator("i", 37)
    y, z = tensor("Y", 37, dtype=dtype), tensor("Z", 37, dtype=f32)
    wide = Apply("cast", (read(x, i),), f32)
    double = Apply("cast", (Apply("add", (wide, wide), f32),), f32)
    p = program([x], [y, z], Definition(y, (i,), read(x, i)), Definition(z, (i,), double))
    agree(p, random_inputs(p), target)


@TARGETS
def test_gather_and_its_fault(target: Target) -> None:
    e, ids = tensor("E", 11, 19, dtype=f32), tensor("ids", 6, dtype=i32)
    s, d = iterator("s", 6), iterator("d", 19)
    row = Int.of(Value(Apply("cast", (read(ids, s),), i64)))
    for axes, order in (((6, 19), (s, d)), ((19, 6), (d, s))):
        out = tensor("O", *axes, dtype=f32)
        body = Read(e, (row, Int.of(d)))
        p = program([e, ids], [out], Definition(out, order, body))
        inputs = random_inputs(p)
        inputs["ids"] = np.array([0, 10, 3, 3, 7, 1], np.int32)
        agree(p, inputs, target)
        for wrong in (-1, 11, 2**31 - 1):
            inputs["ids"] = np.array([0, 10, 3, 3, wrong, 1], np.int32)
            _, status, faults = run(make_plan(p), inputs, target)
            assert "tensor 'E' axis 0" in faults[status - 1]
        guarded = Read(e, (row, Int.of(d)), Const(7.0, f32))
        agree(program([e, ids], [out], Definition(out, order, guarded)), inputs, target)


@TARGETS
@pytest.mark.parametrize("shared_columns", [True, False])
def test_scan_over_rows(shared_columns: bool, target: Target) -> None:
    rows, columns = 7, 45
    a, x = tensor("a", rows, columns, dtype=f32), tensor("x", rows, columns, dtype=f32)
    h = tensor("h", rows, columns, dtype=f32)
    t, d = iterator("t", rows), iterator("d", columns)
    before = Read(h, (Int.of(t) - 1, Int.of(d)), Const(0.5, f32))
    step = Apply("add", (Apply("mul", (read(a, t, d), before), f32), read(x, t, d)), f32)
    definition = Definition(h, (t, d), step)
    p = program([a, x], [h])
    p = type(p)(p.name, (), p.inputs, p.results, (Scan(t, (definition,)),))
    shared = (Shared(d), Shared(t, True)) if shared_columns else (Shared(t, True),)
    plan = Plan(p, (Group((definition,), shared),))
    inputs = random_inputs(p)
    (got,), status, _ = run(plan, inputs, target)
    assert status == 0
    np.testing.assert_allclose(got, interpreter.interpret(p, inputs)[0], rtol=1e-5, atol=1e-5)


@TARGETS
def test_positions_as_values(target: Target) -> None:
    x = tensor("X", 6, 40, dtype=f32)
    i, j = iterator("i", 6), iterator("j", 40)
    y = tensor("Y", 6, 40, dtype=f32)
    causal = Apply("le", (IndexValue(Int.of(j), i64), IndexValue(Int.of(i) + 3, i64)), boolean)
    body = Apply("where", (causal, read(x, i, j), Const(float("-inf"), f32)), f32)
    p = program([x], [y], Definition(y, (i, j), body))
    agree(p, random_inputs(p), target)
    half = Read(x, (Int.of(i), Int.of(j) // 2 + Int.of(j) % 3))
    agree(program([x], [y], Definition(y, (i, j), half)), random_inputs(p), target)
    back = Read(x, (Int.of(i), 39 - Int.of(j)))
    agree(program([x], [y], Definition(y, (i, j), back)), random_inputs(p), target)


def test_traces_replay_through_json() -> None:
    plan = make_plan(softmax(12, 40))
    traces = schedule.analytical(plan, WIDE, 2)
    again = tuple(schedule.Trace.from_json(each.to_json()) for each in traces)
    assert again == traces
    assert schedule.lower(plan, again, WIDE, 2) == schedule.lower(plan, traces, WIDE, 2)


@TARGETS
def test_small_axes_are_merged(target: Target) -> None:
    """An activation of 5 x 7 images and their means: lanes run through the flat image."""
    x, b = tensor("X", 6, 3, 5, 7, dtype=f32), tensor("b", 3, dtype=f32)
    axes = tuple(iterator(name, n) for name, n in zip("nchw", (6, 3, 5, 7), strict=True))
    y, m = tensor("Y", 6, 3, 5, 7, dtype=f32), tensor("M", 6, 3, dtype=f32)
    body = Apply("add", (read(x, *axes), read(b, axes[1])), f32)
    sums = total(read(x, *axes), *axes[2:])
    p = program([x, b], [y, m], Definition(y, axes, body), Definition(m, axes[:2], sums))
    traces = schedule.analytical(make_plan(p), target, 1)
    assert any(name.endswith(".merged") and value for trace in traces for name, value in trace)
    agree(p, random_inputs(p), target)


@TARGETS
@pytest.mark.parametrize("columns", [5, 40, 61])
def test_padded_windows_have_an_interior(columns: int, target: Target) -> None:
    """Depthwise 3 x 3 windows: tiles inside run without guards where masks are dear."""
    x, w = tensor("X", 3, 11, columns, dtype=f32), tensor("W", 3, 3, 3, dtype=f32)
    c, i, j = iterator("c", 3), iterator("i", 11), iterator("j", columns)
    r, s = iterator("r", 3), iterator("s", 3)
    near = (c, Int.of(i) + Int.of(r) - 1, Int.of(j) + Int.of(s) - 1)
    y = tensor("Y", 3, 11, columns, dtype=f32)
    term = Apply("mul", (read(x, *near, otherwise=Const(0.0, f32)), read(w, c, r, s)), f32)
    p = program([x, w], [y], Definition(y, (c, i, j), total(term, r, s)))
    agree(p, random_inputs(p), target)
    (trace,) = schedule.analytical(make_plan(p), target, 1)
    assert trace["d0.interior"] == int(target is NARROW)


@TARGETS
@pytest.mark.parametrize("columns", [1, 19])
def test_a_scan_of_two_tensors_hands_values_on(columns: int, target: Target) -> None:
    """Each reads the other and itself one and two steps before, starting from arrays."""
    rows = 9
    x, first = tensor("x", rows, columns, dtype=f32), tensor("first", columns, dtype=f32)
    g, h = tensor("g", rows, columns, dtype=f32), tensor("h", rows, columns, dtype=f32)
    t, d = iterator("t", rows), iterator("d", columns)
    start = Read(first, (Int.of(d),))
    half, zero = Const(0.5, f32), Const(0.0, f32)
    before = Read(h, (Int.of(t) - 1, Int.of(d)), start)
    g_body = Apply("add", (Apply("mul", (before, half), f32), read(x, t, d)), f32)
    older = Read(g, (Int.of(t) - 2, Int.of(d)), zero)
    other = Read(g, (Int.of(t) - 1, Int.of(d)), half)
    h_body = Apply("sub", (Apply("mul", (read(g, t, d), other), f32), older), f32)
    definitions = (Definition(g, (t, d), g_body), Definition(h, (t, d), h_body))
    p = program([x, first], [h, g])
    p = type(p)(p.name, (), p.inputs, p.results, (Scan(t, definitions),))
    agree(p, {k: 0.3 * v for k, v in random_inputs(p).items()}, target)
