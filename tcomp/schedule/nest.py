"""The general nest: one definition at given points of the loops around it, its own loops inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from tcomp.ir.integer import ZERO, Int, Iter
from tcomp.ir.loop.nodes import Declare, If, LoopVar, Stmt, Store
from tcomp.ir.loop.rewriting import substitute_block
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.choice import MemberChoice
from tcomp.schedule.evaluate import evaluate
from tcomp.schedule.interior import interior
from tcomp.schedule.interleave import interleave_stores
from tcomp.schedule.points import Kernel, Point
from tcomp.schedule.storage import Placement
from tcomp.schedule.tiles import Axis, Tiles, loops_over, wrap
from tcomp.schedule.transpose import transpose_squares
from tcomp.schedule.vectorize import vectorize_block


def axes_of(definition: t.Definition, choice: MemberChoice) -> list[Axis]:
    """The loops of a nest, from outermost to innermost."""
    single = (
        choice.order[: len(choice.order) - 1 - choice.merged] if choice.merged else choice.order
    )
    axes = [
        Axis(
            (definition.iters[k],),
            choice.tile[k] if choice.tile else 1,
            choice.lanes if k == choice.vector else 1,
        )
        for k in single
    ]
    if choice.merged:
        iters = tuple(definition.iters[k] for k in choice.order[len(single) :])
        axes.append(Axis(iters, choice.tile[choice.vector], choice.lanes))
    return axes


def reductions_of(definition: t.Definition) -> tuple[t.Reduce, ...]:
    """The distinct reductions of a definition, inner ones first: the order of their choices."""
    return tuple(node for node in t.postorder(definition.body) if isinstance(node, t.Reduce))


def member_nest(
    definition: t.Definition, points: Sequence[Point], choice: MemberChoice, kernel: Kernel
) -> tuple[Stmt, ...]:
    """Statements that compute the definition at `points`, which fix the iterators around it.

    A tensor that `kernel` keeps in a local must have no other iterators; use `member_local` for it.
    """
    axes = axes_of(definition, choice)
    if any(axis.extent == 0 for axis in axes):
        return ()
    tiles = [Tiles(axis.counter, min(axis.points * axis.lanes, axis.extent)) for axis in axes]
    kernel = _with_choices(definition, choice, kernel)
    loops, starts = loops_over(tiles, choice.parallel, choice.grain, kernel.names)
    lane = kernel.names.loop("lane", 0, choice.lanes - 1) if choice.vector >= 0 else None
    spread = [point.at(offset) for point in points for offset in _offsets(axes, starts, lane)]
    body = _tile_body(definition, spread, lane, kernel)
    condition = interior(definition.body, spread, lane) if choice.interior else None
    if condition is not None:
        free = _tile_body(definition, spread, lane, replace(kernel, inside=True))
        body = (If(condition, free, body),)
    return wrap(loops, body)


def _tile_body(
    definition: t.Definition, points: Sequence[Point], lane: LoopVar | None, kernel: Kernel
) -> tuple[Stmt, ...]:
    """The definition at all points of a tile, in lanes where `lane` is the position in a vector."""
    block: list[Stmt] = []
    values = evaluate(definition.body, points, kernel, block)
    placement = kernel.storage[definition.tensor]
    assert isinstance(placement, Placement)
    for point, value in zip(points, values, strict=True):
        address = placement.address([point.position[it] for it in definition.iters])
        block.append(Store(placement.buffer, address, value))
    if lane is None:
        return tuple(block)
    return interleave_stores(transpose_squares(lanes_filled(block, lane, lane.last + 1)))


def member_local(
    definition: t.Definition, points: Sequence[Point], choice: MemberChoice, kernel: Kernel
) -> tuple[tuple[Stmt, ...], list[Point]]:
    """Statements that compute a definition without iterators of its own into locals, and the points
    that hold them."""
    kernel = _with_choices(definition, choice, kernel)
    block: list[Stmt] = []
    held: list[Point] = []
    values = evaluate(definition.body, points, kernel, block)
    for point, value in zip(points, values, strict=True):
        local = kernel.names.local(definition.tensor.name, definition.tensor.dtype)
        block.append(Declare(local, value))
        held.append(point.holding(definition.tensor, local))
    return tuple(block), held


def member_kept(
    definition: t.Definition, points: Sequence[Point], choice: MemberChoice, kernel: Kernel
) -> tuple[tuple[Stmt, ...], list[Point]]:
    """As `member_local`, for a tensor that is in memory too."""
    block, held = member_local(definition, points, choice, kernel)
    placement = kernel.storage[definition.tensor]
    assert isinstance(placement, Placement)
    stores, known = [], []
    read = t.Read(definition.tensor, tuple(map(Int.of, definition.iters)))
    for point, holding in zip(points, held, strict=True):
        local = holding.registers[definition.tensor]
        address = placement.address([point.position[it] for it in definition.iters])
        stores.append(Store(placement.buffer, address, local))
        known.append(point.knowing(read, local))
    return (*block, *stores), known


def lanes_filled(block: Sequence[Stmt], lane: LoopVar, lanes: int) -> tuple[Stmt, ...]:
    """Scalar code for position `lane` of a vector, as vector code."""
    return substitute_block(vectorize_block(block, lane, lanes), {lane: Int.of(0)})


def _with_choices(definition: t.Definition, choice: MemberChoice, kernel: Kernel) -> Kernel:
    pairs = zip(reductions_of(definition), choice.reductions, strict=False)
    return replace(kernel, reductions=dict(pairs))


def _offsets(
    axes: Sequence[Axis], starts: Sequence[Int], lane: LoopVar | None
) -> Iterator[dict[Iter, Int]]:
    """Positions of the points of one tile."""
    ranges = []
    for axis, start in zip(axes, starts, strict=True):
        within = Int.of(lane) if axis.lanes > 1 and lane is not None else ZERO
        last = axis.extent - axis.lanes  # of one tile for all, the last vector is moved back
        ranges.append([start + min(c * axis.lanes, last) + within for c in range(axis.points)])
    for each in product(*ranges):
        position: dict[Iter, Int] = {}
        for axis, flat in zip(axes, each, strict=True):
            position |= axis.position(flat)
        yield position
