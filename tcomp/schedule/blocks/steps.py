"""A scan in steps as statements: what stands before the first step, then a loop over steps of parts.

A tensor that the next step reads has room for two steps, which take turns: what is made never lies where
what it is made from does. Others have room for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from tcomp.ir.integer import ZERO, Int
from tcomp.ir.loop.nodes import For, Space, Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor.idle import active
from tcomp.ir.tensor.nodes import Definition, Tensor
from tcomp.schedule.blocks.parts import parts_at, ranges_at, states_of
from tcomp.schedule.points import Kernel
from tcomp.schedule.storage import Placement, tile
from tcomp.schedule.trace import Trace

LowerPart: TypeAlias = Callable[[Group, Trace, Kernel], tuple[Stmt, ...]]
Traces: TypeAlias = tuple[Trace, ...]


def lower_steps(
    group: Group, traces: Traces, kernel: Kernel, lower_part: LowerPart
) -> tuple[Stmt, ...]:
    """The steps of a group. What is read of them outside has its place in `kernel` already."""
    (step,) = group.blocked
    first, stop = reach(group)
    var = kernel.names.loop(step.name, int(step.lo), int(step.hi) - 1)
    rooms = {**_rooms(group, kernel), **_given(group, kernel, stop)}
    parts = parts_at(group, ranges_at(group, (1,), [Int.of(var)]))
    body: list[Stmt] = []
    before: list[Stmt] = []
    started = len(states_of(group))
    outside = {tensor: room.after(first) for tensor, room in rooms.items()}
    inside = {tensor: room.at(Int.of(var)) for tensor, room in rooms.items()}
    for number, (part, trace) in enumerate(zip(parts, traces, strict=True)):
        stmts, own = (before, outside) if number < started else (body, inside)
        at = replace(kernel, storage={**kernel.storage, **own})
        stmts += lower_part(part, trace, at)
    return (*before, For(var, first, stop, tuple(body)))


def reach(group: Group) -> tuple[Int, Int]:
    """The steps that have to be made: from the first up to, not including, the second."""
    (step,) = group.blocked
    seen = {d.tensor for d in group.members} - group.scratch
    if not seen <= set(states_of(group)):
        return step.lo, step.hi  # there is nothing that a step without effect could leave as it was
    return active(group.members, step)


def last_made(
    group: Group, seen: frozenset[Tensor], space: Space, kernel: Kernel
) -> dict[Tensor, Placement]:
    """Room for those tensors in `seen` that are read outside of the steps, as it is after the last step."""
    stop = reach(group)[1]
    kept = states_of(group)
    return {
        d.tensor: _Room.of(d, group, kept, space, kernel).after(stop)
        for d in group.members
        if d.tensor in seen - group.scratch
    }


class _Room:
    """A tensor's place in the course of the steps."""

    def __init__(self, one: Placement, axis: int, turns: bool) -> None:
        self.one, self.axis, self.turns = one, axis, turns

    @staticmethod
    def of(
        definition: Definition,
        group: Group,
        kept: Mapping[Tensor, Definition],
        space: Space,
        kernel: Kernel,
    ) -> _Room:
        """Fresh room for a member."""
        tensor = definition.tensor
        axis = definition.iters.index(group.blocked[0])
        extents = [None if n == axis else int(it.extent) for n, it in enumerate(definition.iters)]
        firsts = [it.lo for it in definition.iters]
        one = tile(tensor, extents, space, kernel.names.fresh(tensor.name), firsts)
        if tensor in kept:
            one = replace(one, buffer=replace(one.buffer, extent=2 * one.buffer.extent))
        return _Room(one, axis, tensor in kept)

    @property
    def _size(self) -> int:
        return self.one.buffer.extent // 2

    def at(self, now: Int) -> Placement:
        """The place while step `now` is made, and that of the step before."""
        if not self.turns:
            return self.one
        odd = now % 2
        stride = (odd * 2 - 1) * self._size  # to the step before it is the other way
        strides = (*self.one.strides[: self.axis], stride, *self.one.strides[self.axis + 1 :])
        return replace(
            self.one, origin=self.one.origin + odd * self._size - now * stride, strides=strides
        )

    def after(self, stop: Int) -> Placement:
        """The place behind the last step, whatever its number."""
        return replace(self.one, origin=self.one.origin + self._turned(stop))

    def before(self, stop: Int) -> _Room:
        """The room whose place behind the last step is this one."""
        one = replace(self.one, origin=self.one.origin - self._turned(stop))
        return _Room(one, self.axis, self.turns)

    def _turned(self, stop: Int) -> Int:
        return ((stop - 1) % 2) * self._size if self.turns else ZERO


def _rooms(group: Group, kernel: Kernel) -> dict[Tensor, _Room]:
    """Room for what parts of a step hand to each other and to the next step."""
    within = {t for part in group.parts for t in part.scratch}
    kept = states_of(group)
    return {
        d.tensor: _Room.of(d, group, kept, Space.WORKSPACE, kernel)
        for d in group.members
        if d.tensor in group.scratch - within
    }


def _given(group: Group, kernel: Kernel, stop: Int) -> dict[Tensor, _Room]:
    """The rooms of tensors that are read outside."""
    kept = states_of(group)
    (step,) = group.blocked
    found: dict[Tensor, _Room] = {}
    for d in group.members:
        placement = kernel.storage.get(d.tensor)
        if isinstance(placement, Placement):
            found[d.tensor] = _Room(placement, d.iters.index(step), d.tensor in kept).before(stop)
    return found
