"""A group of blocks as one kernel: a loop over blocks, and inside it the parts' own nests, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tcomp.ir.loop.nodes import Space, Stmt, Store
from tcomp.ir.loop.rewriting import moved, statements
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.ir.tensor.regions import Ranges
from tcomp.schedule.blocks.parts import count_of, handed_on, parts_at, ranges_at, tiles_of
from tcomp.schedule.blocks.steps import LowerPart, last_made, lower_steps
from tcomp.schedule.blocks.trace import from_trace
from tcomp.schedule.pitch import plane_axes
from tcomp.schedule.points import Kernel
from tcomp.schedule.storage import Placement, tile
from tcomp.schedule.tiles import loops_over, wrap
from tcomp.schedule.trace import Trace


def lower_blocks(
    group: Group, decided: Trace, kernel: Kernel, lower_part: LowerPart
) -> tuple[Stmt, ...]:
    """The loops of the group; `lower_part` makes those of a part. Raises KeyError where the trace lacks
    a decision."""
    blocks = from_trace(group, decided)
    if group.step is not None:
        return lower_steps(group, blocks.parts, kernel, lower_part)
    tiles = tiles_of(group, blocks.sizes)
    loops, starts = loops_over(tiles, blocks.parallel and len(tiles), 1, kernel.names)
    ranges = ranges_at(group, blocks.sizes, starts)
    space = Space.PRIVATE if count_of(group, blocks.sizes) > 1 else Space.WORKSPACE
    parts = parts_at(group, ranges)
    between = _between(group, parts, ranges, space, kernel)
    kernel = replace(kernel, storage={**kernel.storage, **between})
    body: list[Stmt] = []
    for part, trace in zip(parts, blocks.parts, strict=True):
        body += lower_part(part, trace, kernel)
    return wrap(loops, _own(body, kernel) if space is Space.PRIVATE else body)


def _own(body: Sequence[Stmt], kernel: Kernel) -> tuple[Stmt, ...]:
    """The body of a block, in which what parts pack for themselves is memory of its thread."""
    known = {p.buffer for p in kernel.storage.values() if isinstance(p, Placement)}
    packed = {s.buffer for s in statements(body) if isinstance(s, Store)} - known
    return moved(body, {b: replace(b, space=Space.PRIVATE) for b in packed})


def _between(
    group: Group, parts: Sequence[Group], ranges: Sequence[Ranges], space: Space, kernel: Kernel
) -> dict[t.Tensor, Placement]:
    """Room for what a block's parts hand on to each other."""
    found: dict[t.Tensor, Placement] = {}
    for part in parts:
        if part.step is not None:
            found |= last_made(part, group.scratch, space, kernel)
    planes = plane_axes(group.members)
    for number in handed_on(group):
        if group.members[number].tensor in found:
            continue
        definition, own = group.members[number], ranges[number]
        extents = [own[it].extent if it in own else int(it.extent) for it in definition.iters]
        firsts = [own[it].first if it in own else it.lo for it in definition.iters]
        tensor = definition.tensor
        name = kernel.names.fresh(tensor.name)
        found[tensor] = tile(tensor, extents, space, name, firsts, planes.get(tensor))
    return found
