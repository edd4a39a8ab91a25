"""The general nest: one definition at given points of the loops around it, its own loops inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Declare, LoopVar, Stmt, Store
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.choice import MemberChoice
from tcomp.schedule.evaluate import evaluate
from tcomp.schedule.points import Kernel, Point
from tcomp.schedule.rewriting import substitute_block
from tcomp.schedule.storage import Placement
from tcomp.schedule.tiles import Tiles, loops_over, wrap
from tcomp.schedule.transpose import transpose_squares
from tcomp.schedule.vectorize import vectorize_block


def reductions_of(definition: t.Definition) -> tuple[t.Reduce, ...]:
    """The distinct reductions of a definition, inner ones first: the order of their choices."""
    return tuple(node for node in t.postorder(definition.body) if isinstance(node, t.Reduce))


def member_nest(
    definition: t.Definition, points: Sequence[Point], choice: MemberChoice, kernel: Kernel
) -> tuple[Stmt, ...]:
    """Statements that compute the definition at `points`, which fix the iterators around it.

    A tensor that `kernel` keeps in a local must have no other iterators; use `member_local` for it.
    """
    own = list(choice.order)
    tiles = [Tiles(definition.iters[k], _width(choice, k)) for k in own]
    if any(tile.extent == 0 for tile in tiles):
        return ()
    kernel = _with_choices(definition, choice, kernel)
    loops, starts = loops_over(tiles, choice.parallel, choice.grain, kernel.names)
    lane = kernel.names.loop("lane", 0, choice.lanes - 1) if choice.vector >= 0 else None
    spread = [
        point.at(offset)
        for point in points
        for offset in _offsets(definition, own, starts, choice, lane)
    ]
    block: list[Stmt] = []
    values = evaluate(definition.body, spread, kernel, block)
    placement = kernel.storage[definition.tensor]
    assert isinstance(placement, Placement)
    for point, value in zip(spread, values, strict=True):
        address = placement.address([point.position[it] for it in definition.iters])
        block.append(Store(placement.buffer, address, value))
    if lane is None:
        return wrap(loops, block)
    return wrap(loops, transpose_squares(lanes_filled(block, lane, choice.lanes)))


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


def lanes_filled(block: Sequence[Stmt], lane: LoopVar, lanes: int) -> tuple[Stmt, ...]:
    """Scalar code for position `lane` of a vector, as vector code."""
    return substitute_block(vectorize_block(block, lane, lanes), {lane: Int.of(0)})


def _with_choices(definition: t.Definition, choice: MemberChoice, kernel: Kernel) -> Kernel:
    pairs = zip(reductions_of(definition), choice.reductions, strict=False)
    return replace(kernel, reductions=dict(pairs))


def _width(choice: MemberChoice, k: int) -> int:
    points = choice.tile[k] if choice.tile else 1
    return points * choice.lanes if k == choice.vector else points


def _offsets(
    definition: t.Definition,
    own: Sequence[int],
    starts: Sequence[Int],
    choice: MemberChoice,
    lane: LoopVar | None,
) -> list[dict[Iter, Int]]:
    """Positions of the points of one tile."""
    ranges = []
    for k, start in zip(own, starts, strict=True):
        count = choice.tile[k] if choice.tile else 1
        if k == choice.vector:
            assert lane is not None
            ranges.append([start + c * choice.lanes + Int.of(lane) for c in range(count)])
        else:
            ranges.append([start + c for c in range(count)])
    iters = [definition.iters[k] for k in own]
    return [dict(zip(iters, each, strict=True)) for each in product(*ranges)]
