"""A group's parts at one block: the same definitions over smaller ranges.

The blocks of a scan in steps are its steps. Its first parts make what stands before the first step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import LoopVar
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition, Tensor
from tcomp.ir.tensor.regions import Range, Ranges, needed, part_of, reads_of, restricted
from tcomp.ir.tensor.steps import states, without_guards
from tcomp.schedule.tiles import Tiles


def tiles_of(group: Group, sizes: Sequence[int]) -> list[Tiles]:
    """The blocks along each blocked iterator."""
    return [Tiles(it, size) for it, size in zip(group.blocked, sizes, strict=True)]


def count_of(group: Group, sizes: Sequence[int]) -> int:
    """How many blocks there are."""
    return prod(each.count for each in tiles_of(group, sizes))


def somewhere(group: Group, sizes: Sequence[int]) -> list[Int]:
    """First positions of a block that stands for all blocks: decisions are the same for each."""
    return [
        each.iter.lo
        if each.count == 1
        else Int.of(
            LoopVar(f"any {each.iter.name}", int(each.iter.lo), int(each.iter.hi) - each.width)
        )
        for each in tiles_of(group, sizes)
    ]


def ranges_at(group: Group, sizes: Sequence[int], starts: Sequence[Int]) -> tuple[Ranges, ...]:
    """The ranges of all members at a block, or at a step."""
    if group.step is not None:
        return tuple({group.step: Range(starts[0], 1)} for _ in group.members)
    block = {
        each.iter: Range(start, each.width)
        for each, start in zip(tiles_of(group, sizes), starts, strict=True)
        if each.count > 1
    }
    return needed(group.members, block, steps_in(group))


def steps_in(group: Group) -> frozenset[Iter]:
    """The iterators of the scans among the parts."""
    return frozenset(part.step for part in group.parts if part.step is not None)


def parts_at(group: Group, ranges: Sequence[Ranges]) -> tuple[Group, ...]:
    """The parts over those ranges."""
    known = dict(zip(group.members, ranges, strict=True))
    kept = states_of(group)
    starts = tuple(Group((start,)) for start in kept.values())
    return (*starts, *(_part(part, known, kept, group) for part in group.parts))


def states_of(group: Group) -> Mapping[Tensor, Definition]:
    """What the steps of a group hand to the next one, and what it is before the first."""
    if group.step is None:
        return {}
    kept = states(group.members, group.step)
    assert kept is not None  # or the group would not have been planned in steps
    return kept


def _part(
    part: Group, known: dict[Definition, Ranges], kept: Mapping[Tensor, Definition], group: Group
) -> Group:
    def at_block(definition: Definition) -> Definition:
        return without_guards(restricted(definition, known[definition]), kept)

    members = tuple(map(at_block, part.members))
    parts = tuple(_part(each, known, kept, group) for each in part.parts)
    first = known[part.members[0]]
    shared = tuple(replace(s, iter=part_of(s.iter, first)) for s in part.shared)
    constants = frozenset(
        tensor
        for tensor in group.constants
        if not any(_moves(d, known[d], tensor) for d in part.members)
    )
    return replace(part, members=members, shared=shared, constants=constants, parts=parts)


def _moves(definition: Definition, ranges: Ranges, tensor: Tensor) -> bool:
    """Whether blocks read different parts of a tensor: what is packed before any call is the same for all."""
    moving = {it for it, each in ranges.items() if not each.first.is_constant}
    reads = (read for read in reads_of(definition) if read.tensor is tensor)
    return any(not moving.isdisjoint(index.leaves()) for read in reads for index in read.index)


def handed_on(group: Group) -> list[int]:
    """The members, by number, from which one part hands on to another."""
    within = {t for part in group.parts for t in part.scratch}
    return [
        n
        for n, d in enumerate(group.members)
        if d.tensor in group.scratch and d.tensor not in within
    ]
