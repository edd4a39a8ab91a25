"""Scatter-shaped reductions are recognised, take one pass, and mean what their formulas mean."""

from __future__ import annotations

import numpy as np
import pytest
from programs import iterator, program, random_inputs, read, tensor
from schedule_harness import NARROW, WIDE, agree, run

from tcomp import schedule
from tcomp.ir.dtypes import DType, boolean, f32, f64, i32, i64, u8
from tcomp.ir.integer import Int, Value
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Tensor,
    truth,
)
from tcomp.ops import REDUCTIONS
from tcomp.passes import plan as make_plan
from tcomp.target import Target

N, B, D = 101, 23, 12
X = tensor("x", N, dtype=u8)
LABELS = tensor("labels", N, dtype=i64)
V = tensor("v", N, dtype=f32)
ROWS = tensor("rows", N, D, dtype=f32)
n, b, d = iterator("n", N), iterator("b", B), iterator("d", D)


def _same(source: Tensor, dtype: DType = i32, offset: int = 0) -> Expr:
    value = read(source, n) if source.dtype is dtype else Apply("cast", (read(source, n),), dtype)
    return Apply("eq", (value, IndexValue(Int.of(b) + offset, dtype)), boolean)


def _where(condition: Expr, value: Expr, op: str) -> Reduce:
    empty = Const(REDUCTIONS[op].identity(value.dtype), value.dtype)
    return Reduce(op, (n,), Apply("where", (condition, value, empty), value.dtype))


def _kinds(p: Program) -> list[str]:
    return [each.kind for each in schedule.analytical(make_plan(p), WIDE, 2)]


def _inputs(p: Program) -> dict[str, np.ndarray]:
    inputs = random_inputs(p)
    rng = np.random.default_rng(3)
    for name in ("x", "labels"):
        if name in inputs:
            inputs[name] = rng.integers(0, B + 5, N).astype(inputs[name].dtype)
    return inputs


@pytest.mark.parametrize("target", [WIDE, NARROW], ids=["512", "256"])
@pytest.mark.parametrize("op", ["sum", "max", "min", "prod"])
def test_terms_by_label(op: str, target: Target) -> None:
    out = tensor("out", B, dtype=f32)
    p = program([X, V], [out], Definition(out, (b,), _where(_same(X), read(V, n), op)))
    assert _kinds(p) == ["scatter"]
    agree(p, _inputs(p), target)


def test_counts_offsets_and_further_conditions() -> None:
    out = tensor("out", B, dtype=i32)
    positive = Apply("gt", (read(V, n), Const(0.0, f32)), boolean)
    both = Apply("and", (positive, _same(LABELS, i64, 2)), boolean)
    p = program([LABELS, V], [out], Definition(out, (b,), _where(both, Const(1, i32), "sum")))
    assert _kinds(p) == ["scatter"]
    agree(p, _inputs(p))


def test_labels_far_outside_go_nowhere() -> None:
    out = tensor("out", B, dtype=i32)
    body = _where(_same(LABELS, i64), Const(1, i32), "sum")
    p = program([LABELS], [out], Definition(out, (b,), body))
    inputs = {"labels": np.full(N, 5, np.int64)}
    inputs["labels"][:4] = [-1, 2**62, -(2**63), B]
    agree(p, inputs)


@pytest.mark.parametrize("order", [(b, d), (d, b)])
def test_rows_by_label_with_an_epilogue(order: tuple[object, ...]) -> None:
    shape = tuple(int(it.extent) for it in order)  # type: ignore[attr-defined]
    out = tensor("out", *shape, dtype=f32)
    total = _where(_same(X), read(ROWS, n, d), "sum")
    scaled = Apply("mul", (total, Const(0.25, f32)), f32)
    p = program([X, ROWS], [out], Definition(out, order, scaled))  # type: ignore[arg-type]
    assert "scatter" in _kinds(p)
    agree(p, _inputs(p))


def test_means_by_label() -> None:
    """Sums and counts joined by a division: two scatters and an elementwise rest."""
    out = tensor("out", B, dtype=f64)
    total = _where(_same(X), Apply("cast", (read(V, n),), f64), "sum")
    count = Apply("cast", (_where(_same(X), Const(1, i32), "sum"),), f64)
    one = Apply("add", (count, Const(1.0, f64)), f64)
    p = program([X, V], [out], Definition(out, (b,), Apply("div", (total, one), f64)))
    assert sorted(_kinds(p)) == ["nest", "scatter", "scatter"]
    agree(p, _inputs(p))


def test_whether_a_label_occurs() -> None:
    out = tensor("out", B, dtype=boolean)
    p = program([X], [out], Definition(out, (b,), Reduce("any", (n,), _same(X))))
    assert _kinds(p) == ["scatter"]
    agree(p, _inputs(p))
    always = Apply("where", (_same(X), truth(True), truth(False)), boolean)
    agree(program([X], [out], Definition(out, (b,), Reduce("any", (n,), always))), _inputs(p))


def test_two_scattered_axes() -> None:
    c = iterator("c", 18)
    out = tensor("out", B, 18, dtype=i32)
    other = Apply("eq", (read(LABELS, n), IndexValue(Int.of(c), i64)), boolean)
    both = Apply("and", (_same(X), other), boolean)
    p = program([X, LABELS], [out], Definition(out, (b, c), _where(both, Const(1, i32), "sum")))
    assert _kinds(p) == ["scatter"]
    agree(p, _inputs(p))


def test_an_output_of_few_points_is_no_scatter() -> None:
    few = iterator("b", 3)
    out = tensor("out", 3, dtype=i32)
    value = Apply("cast", (read(X, n),), i32)
    same = Apply("eq", (value, IndexValue(Int.of(few), i32)), boolean)
    p = program([X], [out], Definition(out, (few,), _where(same, Const(1, i32), "sum")))
    assert _kinds(p) == ["nest"]
    agree(p, _inputs(p))


def test_a_converted_choice_counts() -> None:
    out = tensor("out", B, dtype=i32)
    choice = Apply("where", (_same(X), Const(1, i64), Const(0, i64)), i64)
    body = Reduce("sum", (n,), Apply("cast", (choice,), i32))
    p = program([X], [out], Definition(out, (b,), body))
    assert _kinds(p) == ["scatter"]
    agree(p, _inputs(p))


def test_gathered_rows_are_checked_even_where_they_go_nowhere() -> None:
    """A graph convolution: rows of `table` picked by `labels`, added up by `x`."""
    table, out = tensor("table", B, D, dtype=f32), tensor("out", B, D, dtype=f32)
    row = Int.of(Value(read(LABELS, n)))
    body = _where(_same(X), Read(table, (row, Int.of(d))), "sum")
    p = program([X, LABELS, table], [out], Definition(out, (b, d), body))
    assert _kinds(p) == ["scatter"]
    inputs = _inputs(p)
    inputs["labels"] %= B
    agree(p, inputs)
    inputs["x"][7], inputs["labels"][7] = B + 1, B
    _, status, faults = run(make_plan(p), inputs)
    assert "tensor 'table' axis 0" in faults[status - 1]
