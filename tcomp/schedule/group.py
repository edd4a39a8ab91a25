"""A group as one kernel: shared loops, and inside them each member's own nest, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tcomp.ir.dtypes import COMPUTE, boolean
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import LoopVar, Space, Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.schedule import recurrence
from tcomp.schedule.choice import GroupChoice
from tcomp.schedule.contraction.stepwise import Maker
from tcomp.schedule.nest import lanes_filled, member_kept, member_local, member_nest
from tcomp.schedule.points import Kernel, Point
from tcomp.schedule.storage import Placement, tile
from tcomp.schedule.tiles import Loop, Tiles, loops_over, wrap
from tcomp.schedule.transpose import transpose_squares


def in_register(tensor: t.Tensor, definition: t.Definition, group: Group) -> bool:
    """Whether a scratch tensor is one element at each shared point, and so lives in a local."""
    shared = {each.iter for each in group.shared}
    computed = tensor.dtype in COMPUTE or tensor.dtype is boolean
    return tensor in group.scratch and computed and shared.issuperset(definition.iters)


def lower_group(
    group: Group,
    choice: GroupChoice,
    kernel: Kernel,
    products: Mapping[t.Definition, Maker] | None = None,
    together: bool = False,
) -> tuple[Stmt, ...]:
    """The body of the group's kernel. `kernel.storage` has all tensors but the group's scratch.

    `products` make members otherwise than by a nest; `together` if several threads share one of them.
    """
    tiles = [Tiles(s.iter, _width(choice, k)) for k, s in enumerate(group.shared)]
    if any(each.extent == 0 for each in tiles):
        return ()
    loops, starts = loops_over(tiles, choice.parallel, choice.grain, kernel.names)
    lane = kernel.names.loop("lane", 0, choice.lanes - 1) if choice.vector >= 0 else None
    kernel = replace(
        kernel,
        storage={**kernel.storage, **_scratch(group, choice, tiles, starts, kernel, together)},
    )
    points = _points(group, choice, starts, lane)
    steps = loops.pop() if _has_steps(group, loops) else None
    around: list[Stmt] = []
    carries: list[recurrence.Carry] = []
    if steps is not None:
        points, carries = recurrence.start(group, points, kernel, around)
    before: list[Stmt] = []
    block: list[Stmt] = []
    for definition, member in zip(group.members, choice.members, strict=True):
        if products and definition in products:
            make = products[definition]
            once, stmts = make(points[0].position, kernel.storage, kernel.names, kernel.faults)
            before += once
        elif in_register(definition.tensor, definition, group):
            stmts, points = member_local(definition, points, member, kernel)
        elif steps is not None and recurrence.is_kept(definition, group):
            stmts, points = member_kept(definition, points, member, kernel)
        else:
            stmts = member_nest(definition, points, member, kernel)
        block += stmts
    if steps is not None:
        block += [stmt for carry in carries for stmt in carry.handed_on(points)]
        block = [*around, *steps.around(block)]
    if lane is None:
        return (*before, *wrap(loops, block))
    return wrap(loops, transpose_squares(lanes_filled(block, lane, choice.lanes)))


def _has_steps(group: Group, loops: Sequence[Loop]) -> bool:
    """Whether the innermost shared loop is that of a scan's steps."""
    step = recurrence.step_iter(group)
    return step is not None and int(step.extent) > 1 and bool(loops) and not loops[-1].parallel


def _width(choice: GroupChoice, k: int) -> int:
    return choice.lanes * choice.tile if k == choice.vector else 1


def _points(
    group: Group, choice: GroupChoice, starts: Sequence[Int], lane: LoopVar | None
) -> list[Point]:
    position = {s.iter: start for s, start in zip(group.shared, starts, strict=True)}
    if lane is None:
        return [Point(position)]
    across = group.shared[choice.vector].iter
    first = position[across] + Int.of(lane)
    return [Point({**position, across: first + c * choice.lanes}) for c in range(choice.tile)]


def _scratch(
    group: Group,
    choice: GroupChoice,
    tiles: Sequence[Tiles],
    starts: Sequence[Int],
    kernel: Kernel,
    together: bool,
) -> dict[t.Tensor, Placement]:
    """Storage of scratch tensors: of a shared axis only the current tile is kept."""
    shared = {
        s.iter: (each, start) for s, each, start in zip(group.shared, tiles, starts, strict=True)
    }
    alone = choice.parallel > 0 or not any(member.parallel for member in choice.members)
    space = Space.PRIVATE if alone and not together else Space.WORKSPACE
    placements: dict[t.Tensor, Placement] = {}
    for definition in group.members:
        tensor = definition.tensor
        if tensor not in group.scratch or in_register(tensor, definition, group):
            continue
        extents: list[int | None] = []
        firsts: list[Int] = []
        for it in definition.iters:
            kept, start = shared.get(it, (None, it.lo))
            width = int(it.extent) if kept is None else kept.width
            extents.append(None if kept is not None and width == 1 else width)
            firsts.append(start)
        name = kernel.names.fresh(tensor.name)
        placements[tensor] = tile(tensor, extents, space, name, firsts)
    return placements
