"""The space of schedules of one group: what may be decided otherwise, one decision at a time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition
from tcomp.schedule import blocks, contraction, scatter
from tcomp.schedule.access import profile
from tcomp.schedule.analytical import analytical_trace
from tcomp.schedule.choice import GroupChoice, MemberChoice, ReduceChoice
from tcomp.schedule.choice_trace import from_trace, to_trace
from tcomp.schedule.interior import guarded_reads
from tcomp.schedule.legal import is_legal, is_nested
from tcomp.schedule.nest import reductions_of
from tcomp.schedule.trace import Trace
from tcomp.target import Target

_TILES = (1, 2, 3, 4, 6, 8)
_CHAINS = (1, 2, 4, 8)
_WALK = 12  # steps from the analytical schedule to a drawn one, at most


class Space(Protocol):
    """The legal schedules of one group."""

    @property
    def first(self) -> Trace:
        """The analytical schedule."""

    def sample(self, rng: random.Random) -> Trace:
        """Any legal schedule."""

    def neighbours(self, trace: Trace) -> Iterable[Trace]:
        """Legal schedules one decision away, in a fixed order."""

    def allows(self, trace: Trace) -> bool:
        """Whether a trace, which may come from anywhere, is a legal schedule of the group."""


def space(group: Group, target: Target, threads: int) -> Space:
    """The schedules of a group of a completed plan; `first` is the analytical one."""
    first = analytical_trace(group, target, threads)
    if first.kind == blocks.KIND:
        return blocks.BlockSpace(group, target, threads, first, analytical_trace, space)
    if first.kind == contraction.KIND:
        return contraction.ContractionSpace(group, target, threads, first)
    if first.kind in (scatter.KIND, contraction.stepwise.KIND):
        return Fixed(first)
    return NestSpace(group, target, threads, first)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A class without alternatives."""

    first: Trace

    def sample(self, rng: random.Random) -> Trace:
        return self.first

    def neighbours(self, trace: Trace) -> Iterable[Trace]:
        return ()

    def allows(self, trace: Trace) -> bool:
        return trace == self.first


@dataclass(frozen=True, slots=True)
class NestSpace:
    """The schedules of a general nest."""

    group: Group
    target: Target
    threads: int
    first: Trace

    def sample(self, rng: random.Random) -> Trace:
        """The end of a random walk from the analytical schedule."""
        here = from_trace(self.group, self.first)
        for _ in range(rng.randint(1, _WALK)):
            options = list(self._around(here))
            if not options:
                break
            here = rng.choice(options)
        return to_trace(self.group, here)

    def neighbours(self, trace: Trace) -> Iterator[Trace]:
        """Legal schedules one decision away."""
        for choice in self._around(from_trace(self.group, trace)):
            yield to_trace(self.group, choice)

    def allows(self, trace: Trace) -> bool:
        """Whether every decision is there and legal."""
        try:
            choice = from_trace(self.group, trace)
        except KeyError:
            return False
        return trace.kind == self.first.kind and is_legal(self.group, choice)

    def _around(self, here: GroupChoice) -> Iterator[GroupChoice]:
        seen = {here}
        for choice in self._moves(here):
            if choice not in seen and is_legal(self.group, choice):
                seen.add(choice)
                yield choice

    def _moves(self, here: GroupChoice) -> Iterator[GroupChoice]:
        if self.threads > 1:
            for parallel in range(len(self.group.shared) + 1):
                yield replace(here, parallel=parallel)
            for grain in _scaled(here.grain):
                yield replace(here, grain=grain)
        yield from self._lanes_around(here)
        for k, (definition, member) in enumerate(
            zip(self.group.members, here.members, strict=True)
        ):
            for other in self._member_moves(definition, member):
                members = (*here.members[:k], other, *here.members[k + 1 :])
                yield replace(here, members=members)

    def _lanes_around(self, here: GroupChoice) -> Iterator[GroupChoice]:
        """Lanes along a shared iterator, the members then scalar in each."""
        if here.vector >= 0:
            for tile in _TILES:
                yield replace(here, tile=tile)
            for lanes in (here.lanes // 2, here.lanes * 2):
                yield replace(here, lanes=lanes)
            return
        lanes = min((self._lanes(d) for d in self.group.members), default=1)
        plain = tuple(map(_without_lanes, here.members))
        for k in range(len(self.group.shared)):
            for width in (lanes, lanes // 2):
                yield replace(here, members=plain, vector=k, lanes=width)

    def _member_moves(self, definition: Definition, here: MemberChoice) -> Iterator[MemberChoice]:
        for k in here.order:
            for tile in _TILES:
                yield replace(here, tile=(*here.tile[:k], tile, *here.tile[k + 1 :]))
        for place in range(len(here.order) - 1):
            order = list(here.order)
            order[place : place + 2] = order[place + 1], order[place]
            yield replace(here, order=tuple(order))
        if guarded_reads(definition.body):
            yield replace(here, interior=1 - here.interior)
        if self.threads > 1:
            for parallel in range(len(here.order) + 1):
                yield replace(here, parallel=parallel)
            for grain in _scaled(here.grain):
                yield replace(here, grain=grain)
        yield from self._member_lanes(definition, here)
        for k, reduction in enumerate(here.reductions):
            for other in self._reduction_moves(definition, k, reduction):
                reductions = (*here.reductions[:k], other, *here.reductions[k + 1 :])
                yield replace(here, reductions=reductions)

    def _member_lanes(self, definition: Definition, here: MemberChoice) -> Iterator[MemberChoice]:
        """Other lanes: of another width, along another iterator, or along the reductions."""
        plain, lanes = _without_lanes(here), self._lanes(definition)
        yield plain
        if here.vector >= 0:
            for width in (here.lanes // 2, here.lanes * 2):
                yield replace(here, lanes=width)
        for k in here.order:
            order = (*(o for o in here.order if o != k), k)
            for width in (lanes, lanes // 2, lanes // 4):
                yield replace(plain, vector=k, lanes=width, order=order)
        reductions = reductions_of(definition)
        for width in (lanes, lanes // 2, lanes // 4):
            across = tuple(
                ReduceChoice(len(r.iters) - 1, width) if not is_nested(r, reductions) else c
                for r, c in zip(reductions, plain.reductions, strict=True)
            )
            if reductions:
                yield replace(plain, reductions=across)

    def _reduction_moves(
        self, definition: Definition, k: int, here: ReduceChoice
    ) -> Iterator[ReduceChoice]:
        for chains in _CHAINS:
            yield replace(here, chains=chains)
        for steps in (1, 4, 8, 16):
            yield replace(here, steps=steps)
        for unrolled in range(len(reductions_of(definition)[k].iters) + 1):
            yield replace(here, unrolled=unrolled)
        if here.vector >= 0:
            for lanes in (here.lanes // 2, here.lanes * 2):
                yield replace(here, lanes=lanes)
            for vector in range(len(reductions_of(definition)[k].iters)):
                yield replace(here, vector=vector, merged=0)
            for merged in range(here.vector + 1):
                yield replace(here, merged=merged)

    def _lanes(self, definition: Definition) -> int:
        return self.target.lanes(profile(definition).bits)


def _without_lanes(choice: MemberChoice) -> MemberChoice:
    reductions = tuple(
        replace(r, vector=-1, lanes=1, unrolled=0, steps=1, merged=0) if r.vector >= 0 else r
        for r in choice.reductions
    )
    return replace(
        choice,
        vector=-1,
        lanes=1,
        merged=0,
        interior=0,
        tile=(1,) * len(choice.tile),
        reductions=reductions,
    )


def _scaled(grain: int) -> tuple[int, ...]:
    return (max(1, grain // 4), max(1, grain // 2), grain * 2, grain * 4)
