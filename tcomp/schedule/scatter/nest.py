"""The loops of a scatter: the output set to the identity, then one pass over the terms."""

from __future__ import annotations

from tcomp.ir.dtypes import i64
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.loop.nodes import (
    Check,
    Declare,
    Expr,
    For,
    If,
    IntValue,
    Load,
    LoopVar,
    Op,
    Stmt,
    Store,
)
from tcomp.ops import REDUCTIONS
from tcomp.schedule.choice import MemberChoice
from tcomp.schedule.conditions import conjunction, within
from tcomp.schedule.evaluate import evaluate
from tcomp.schedule.nest import lanes_filled, member_nest
from tcomp.schedule.points import Kernel, Point
from tcomp.schedule.scatter.match import Scatter
from tcomp.schedule.storage import Placement


def lower_scatter(
    scatter: Scatter, initial: MemberChoice, vector: int, lanes: int, kernel: Kernel
) -> tuple[Stmt, ...]:
    """The output set to the identity, then one pass over the terms.

    `vector` is the carried iterator (its index in the definition) along which `lanes` terms are added at
    once, or -1.
    """
    block = list(member_nest(scatter.initial, [Point()], initial, kernel))
    loops = []
    point = Point()
    for it in scatter.reduce.iters:
        var = kernel.names.loop(it.name, int(it.lo), int(it.hi) - 1)
        loops.append((var, it))
        point = point.at({it: Int.of(var)})
    if any(it.lo is it.hi for it in (*scatter.reduce.iters, *scatter.definition.iters)):
        return tuple(block)
    body = _terms(scatter, point, vector, lanes, kernel)
    for var, it in reversed(loops):
        body = [For(var, it.lo, it.hi, tuple(body))]
    return (*block, *body)


def _terms(scatter: Scatter, point: Point, vector: int, lanes: int, kernel: Kernel) -> list[Stmt]:
    """The terms of one element, along all carried iterators."""
    carried = scatter.carried
    fixed = scatter.is_uniform
    block: list[Stmt] = []
    block += _checks(scatter, point, kernel)
    if fixed:
        point, condition = _destination(scatter, point, kernel, block)
    loops: list[tuple[LoopVar, Iter, int]] = []
    lane = None
    for it in carried:
        width = lanes if vector >= 0 and it is scatter.definition.iters[vector] else 1
        var = kernel.names.loop(it.name, int(it.lo), int(it.hi) - width)
        loops.append((var, it, width))
        position = Int.of(var)
        if width > 1:
            lane = kernel.names.loop("lane", 0, width - 1)
            position = position + Int.of(lane)
        point = point.at({it: position})
    inner: list[Stmt] = []
    if not fixed:
        point, condition = _destination(scatter, point, kernel, inner)
    update = _update(scatter, point, kernel)
    if not fixed and condition is not None:
        update = [If(condition, tuple(update))]
    inner += update
    result = inner if lane is None else list(lanes_filled(inner, lane, lanes))
    for var, it, width in reversed(loops):
        result = [For(var, it.lo, it.hi, tuple(result), width)]
    if fixed and condition is not None:
        result = [If(condition, tuple(result))]
    return block + result


def _destination(
    scatter: Scatter, point: Point, kernel: Kernel, block: list[Stmt]
) -> tuple[Point, Expr | None]:
    """The point with the positions where the element's terms go, and whether they go anywhere."""
    condition: Expr | None = None
    for it, place in zip(scatter.scattered, scatter.places, strict=True):
        atoms = [a for a in place.leaves() if isinstance(a, Value)]
        values = {
            atom: Int.of(Value(_as_i64(evaluate(atom.expr, [point], kernel, block)[0])))
            for atom in atoms
        }
        position = place.sub({**point.position, **values})
        local = kernel.names.local(f"at_{it.name}", i64)
        block.append(Declare(local, IntValue(position, i64)))
        held = Int.of(Value(local))
        condition = conjunction(condition, within(held, int(it.lo), int(it.hi)))
        point = point.at({it: held})
    for part in scatter.conditions:
        condition = conjunction(condition, evaluate(part, [point], kernel, block)[0])
    return point, condition


def _checks(scatter: Scatter, point: Point, kernel: Kernel) -> list[Stmt]:
    """The checks of a term's reads: they count for terms that go nowhere too."""
    block: list[Stmt] = []
    anywhere = point.at({it: it.lo for it in scatter.definition.iters})
    evaluate(scatter.value, [anywhere], kernel, block)
    return [stmt for stmt in block if isinstance(stmt, Check)]


def _update(scatter: Scatter, point: Point, kernel: Kernel) -> list[Stmt]:
    block: list[Stmt] = []
    (value,) = evaluate(scatter.value, [point], kernel, block)
    block = [stmt for stmt in block if not isinstance(stmt, Check)]
    placement = kernel.storage[scatter.definition.tensor]
    assert isinstance(placement, Placement)
    address = placement.address([point.position[it] for it in scatter.definition.iters])
    old = Load(placement.buffer, address)
    combined = Op(REDUCTIONS[scatter.reduce.op].combine, (old, value), old.dtype)
    block.append(Store(placement.buffer, address, combined))
    return block


def _as_i64(value: Expr) -> Expr:
    return value if value.dtype is i64 else Op("cast", (value,), i64)
