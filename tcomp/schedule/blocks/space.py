"""The space of a group of blocks: other sizes, one block of all, and other schedules of parts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from tcomp.ir.plan import Group
from tcomp.schedule.blocks.choose import SchedulePart, blocks_of, is_safe, size_choices
from tcomp.schedule.blocks.parts import count_of, parts_at, ranges_at, somewhere
from tcomp.schedule.blocks.trace import KIND, Blocks, from_trace, to_trace
from tcomp.schedule.trace import Trace
from tcomp.target import Target

if TYPE_CHECKING:
    from tcomp.schedule.space import Space

SpaceOf: TypeAlias = Callable[[Group, Target, int], "Space"]


@dataclass(frozen=True, slots=True)
class BlockSpace:
    """The legal schedules of a group with parts; `first` is the analytical one."""

    group: Group
    target: Target
    threads: int
    first: Trace
    schedule_part: SchedulePart
    space_of: SpaceOf

    def sample(self, rng: random.Random) -> Trace:
        """Any size of blocks, and any schedule of each part."""
        sizes = rng.choice(list(size_choices(self.group)))
        here = self._blocks(sizes)
        if here is None:
            return self.first
        parts = tuple(space.sample(rng) for space in self._spaces(here))
        drawn = to_trace(replace(here, parts=parts))
        return drawn if self.allows(drawn) else self.first

    def neighbours(self, trace: Trace) -> Iterator[Trace]:
        """Legal schedules one decision away; parts of blocks of another size are scheduled anew."""
        here = from_trace(self.group, trace)
        for sizes in size_choices(self.group):
            if sizes != here.sizes:
                blocks = self._blocks(sizes)
                if blocks is not None:
                    yield from self._legal(blocks)
        for n, space in enumerate(self._spaces(here)):
            for part in space.neighbours(here.parts[n]):
                yield from self._legal(
                    replace(here, parts=(*here.parts[:n], part, *here.parts[n + 1 :]))
                )

    def allows(self, trace: Trace) -> bool:
        """Whether every decision is there and legal."""
        try:
            here = from_trace(self.group, trace)
        except KeyError:
            return False
        extents = [int(it.extent) for it in self.group.blocked]
        most = int(self.group.step is None)  # steps follow each other
        if trace.kind != KIND or here.parallel not in range(most + 1):
            return False
        if self.group.step is not None and here.sizes != (1,):
            return False
        if not all(1 <= s <= e for s, e in zip(here.sizes, extents, strict=True)):
            return False
        spaces = self._spaces(here)
        return is_safe(self.group, here.sizes, here.parallel, here.parts[-1]) and all(
            s.allows(p) for s, p in zip(spaces, here.parts, strict=True)
        )

    def _legal(self, here: Blocks) -> Iterator[Trace]:
        trace = to_trace(here)
        if self.allows(trace):
            yield trace

    def _blocks(self, sizes: tuple[int, ...]) -> Blocks | None:
        return blocks_of(self.group, sizes, self.target, self.threads, self.schedule_part)

    def _spaces(self, here: Blocks) -> list[Space]:
        ranges = ranges_at(self.group, here.sizes, somewhere(self.group, here.sizes))
        alone = self.group.step is None and count_of(self.group, here.sizes) > 1
        threads = 1 if alone else self.threads
        return [self.space_of(p, self.target, threads) for p in parts_at(self.group, ranges)]
