"""The analytical size of blocks: what a block hands on stays in L2, tiles are full, threads are busy.

Times are in multiplications of whole vectors, as in `contraction.cost`. Only sizes decide here; the parts
are scheduled afterwards, each for the block that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod
from typing import Any, TypeAlias

from tcomp.diagnostics import InternalError
from tcomp.ir.integer import Int, Iter
from tcomp.ir.plan import Group
from tcomp.ir.tensor.idle import active
from tcomp.ir.tensor.nodes import Definition, Read, Tensor, postorder
from tcomp.ir.tensor.regions import Range, Ranges, part_of, reads_of
from tcomp.ir.tensor.tables import table_iters
from tcomp.schedule.access import profile
from tcomp.schedule.blocks.parts import (
    count_of,
    handed_on,
    parts_at,
    ranges_at,
    somewhere,
    steps_in,
    tiles_of,
)
from tcomp.schedule.blocks.trace import Blocks, to_trace
from tcomp.schedule.contraction import cost
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.schedule.trace import Trace
from tcomp.target import Target

SchedulePart: TypeAlias = Callable[[Group, Target, int], Trace]

# Multiplications of vectors, two a cycle, in the time that a vector takes to be written or read: what parts
# hand on streams (128 to 64 channels of 128 x 128, 50 MB: 3.1 ms by blocks, else 5.1), weights come line by line.
# The last level is shared with others, on a virtual machine with its neighbours: F(4, 3) of 64 channels at 56 x 56
# takes 193 or 400 us through it, 203 or 224 us by blocks, F(2, 3) 267 or 465 and 269 or 290.
_FROM_L2, _FROM_L3, _FROM_MEMORY = 0.5, 4.5, 20.0
_AGAIN_FROM_L2, _AGAIN = 3.5, 6.0
_SHARE = 0.6  # of L2, and a quarter of L3, which others use too, is ours
_SHARE_L3 = 0.25
_FULL = 0.85  # of L2: what is read again finds itself there
_APART = 1.05  # part after part: threads wait for each other at each
_IDLE = 0.2  # of a block, while threads wait for the last one


def analytical_trace(
    group: Group, target: Target, threads: int, schedule_part: SchedulePart
) -> Trace:
    """A good schedule, found without measuring."""
    model = _Model(group, target, threads)
    options = list(size_choices(group))
    if len(options) > 1:
        options.sort(key=model.cycles)
    for sizes in options:
        blocks = blocks_of(group, sizes, target, threads, schedule_part)
        if blocks is not None:
            return to_trace(blocks)
    raise InternalError("the whole as one block is always safe", code="TC099")


def is_safe(group: Group, sizes: Sequence[int], parallel: int, last: Trace) -> bool:
    """Whether no two threads keep partial sums of a result in one place: the last block of an uneven
    division overlaps the one before. `last` is the schedule of the last part."""
    product = match(group.members[-1])
    if not parallel or product is None:
        return True
    inner = prod(int(it.extent) for it in product.inner)
    even = all(each.extent % each.width == 0 for each in tiles_of(group, sizes))
    return even or last.get("depth", inner) >= inner


def blocks_of(
    group: Group, sizes: tuple[int, ...], target: Target, threads: int, schedule_part: SchedulePart
) -> Blocks | None:
    """Blocks of a size, their parts scheduled analytically; None where they are not safe."""
    several = count_of(group, sizes) > 1 and group.step is None
    parallel = int(several and threads > 1)
    ranges = ranges_at(group, sizes, somewhere(group, sizes))
    *others, last = parts_at(group, ranges)

    def scheduled(part: Group) -> Trace:
        return schedule_part(part, target, 1 if several else threads)

    end = scheduled(last)
    if not is_safe(group, sizes, parallel, end):
        return None
    return Blocks(sizes, parallel, (*map(scheduled, others), end))


def size_choices(group: Group) -> Iterator[tuple[int, ...]]:
    """Blocks of one position along some outer iterators, of any even division along the next, and whole
    along the others; the one block of everything comes last."""
    if group.step is not None:
        yield (1,)
        return
    whole = tuple(int(it.extent) for it in group.blocked)
    for k, extent in enumerate(whole):
        sizes = dict.fromkeys(ceil(extent / n) for n in range(2, extent + 1))
        for size in sizes:
            yield (*[1] * k, size, *whole[k + 1 :])
    yield whole


@dataclass(frozen=True, slots=True)
class _Model:
    """What blocks cost."""

    group: Group
    target: Target
    threads: int

    def cycles(self, sizes: tuple[int, ...]) -> float:
        """The time of all blocks."""
        count = count_of(self.group, sizes)
        ranges = ranges_at(self.group, sizes, somewhere(self.group, sizes))
        share = self._share_of_steps(ranges)
        work = self._streams(ranges) + sum(
            self._work(d, own) * share.get(d, 1.0)
            for d, own in zip(self.group.members, ranges, strict=True)
        )
        between = self._between(ranges)
        moving = 2 * between / 64
        if count == 1:
            threads = (
                1 if steps_in(self.group) else self.threads
            )  # a step is too little for several
            return (work + moving * self._rate(between)) * _APART / threads
        again = self._again(ranges, count)
        room = _SHARE * self.target.l2
        rate = _FROM_L2 if between < room else self._rate(between * self.threads)
        each = work + cost.TASK + moving * rate
        stays = between + again < _FULL * self.target.l2
        each += again / 64 * (_AGAIN_FROM_L2 if stays else _AGAIN)
        shares = ceil(count / self.threads) + (_IDLE if self.threads > 1 else 0.0)
        return shares * each

    def _between(self, ranges: Sequence[Ranges]) -> float:
        """Bytes that parts hand on in a block; of a scan those of a step."""
        steps = {it: Range(it.lo, 1) for it in steps_in(self.group)}
        inside = {t for part in self.group.parts if part.step is not None for t in part.scratch}
        numbers = {n for n, d in enumerate(self.group.members) if d.tensor in inside}
        return sum(
            _bytes(self.group.members[n], {**ranges[n], **steps})
            for n in numbers.union(handed_on(self.group))
        )

    def _share_of_steps(self, ranges: Sequence[Ranges]) -> dict[Definition, float]:
        """For the members of scans the share of steps that a block in the middle has to make."""
        known = dict(zip(self.group.members, ranges, strict=True))
        found: dict[Definition, float] = {}
        for part in self.group.parts:
            if part.step is not None:
                first, stop = active(part.members, part.step, known)
                share = _in_the_middle(stop - first) / int(part.step.extent)
                found |= dict.fromkeys(part.members, share)
        return found

    def _streams(self, ranges: Sequence[Ranges]) -> float:
        """The time of reading what steps read anew in every block."""
        made = {d.tensor for d in self.group.members}
        known = dict(zip(self.group.members, ranges, strict=True))
        total = 0.0
        for part in self.group.parts:
            if part.step is not None:
                reads = {
                    r: known[d] for d in part.members for r in reads_of(d) if r.tensor not in made
                }
                size = sum(_streamed(read, part.step, own) for read, own in reads.items())
                total += size / 64 * (_FROM_L2 if size < _SHARE * self.target.l2 else _FROM_L3)
        return total

    def _rate(self, size: float) -> float:
        """The time of a vector among so many bytes that do not stay in L2."""
        return _FROM_L3 if size < _SHARE_L3 * self.target.l3 else _FROM_MEMORY

    def _work(self, definition: Definition, ranges: Ranges) -> float:
        product = match(definition)
        if product is not None:
            return self._products(product, ranges)
        points = prod(int(part_of(it, ranges).extent) for it in definition.iters)
        work, bits = _at_a_point(definition)
        return points * work / self.target.lanes(bits)

    def _products(self, product: Contraction, ranges: Ranges) -> float:
        batch, rows, columns, inner = (
            prod(int(part_of(it, ranges).extent) for it in iters)
            for iters in (product.batch, product.rows, product.columns, product.inner)
        )
        lanes = self.target.lanes(product.total.dtype.bits)
        step = self._tiles(rows, columns, lanes)
        if not _runs_along_columns(product):
            step += columns / lanes * (cost.PACK_TRANSPOSED + cost.READ_FAR)
        if any(
            isinstance(n, Read) and n.tensor in self.group.constants
            for n in postorder(product.left)
        ):  # vectors along its rows
            step = min(step, self._tiles(columns, rows, lanes))
        return batch * inner * step

    def _tiles(self, rows: int, columns: int, lanes: int) -> float:
        """One inner position of all register tiles."""
        tall, vectors = cost.register_tile(rows, columns, lanes, self.target.vector_registers)
        panels = RowPanels.of(rows, tall)
        return cost.block_step(panels, 0, panels.count, ceil(columns / lanes), vectors)

    def _again(self, ranges: Sequence[Ranges], count: int) -> float:
        """Bytes that a block reads although others read them too; but for what steps stream."""
        made, steps = {d.tensor for d in self.group.members}, steps_in(self.group)
        read: dict[Tensor, float] = {}
        for definition, own in zip(self.group.members, ranges, strict=True):
            for node in reads_of(definition):
                leaves = {
                    it for index in node.index for it in index.leaves() if isinstance(it, Iter)
                }
                if node.tensor in made or not leaves.isdisjoint(steps):
                    continue
                whole = prod(int(e) for e in node.tensor.shape) * node.tensor.dtype.bytes
                part = whole * prod(own[it].extent / int(it.extent) for it in leaves if it in own)
                read[node.tensor] = max(0.0, part - whole / count)
        return sum(read.values())


@lru_cache(1 << 10)
def _at_a_point(definition: Definition) -> tuple[float, int]:
    """Operations and accesses of a point of a nest, and the bits of its widest type."""
    costs = profile(definition)
    if tables := table_iters(definition):  # what its positions have in common is made once
        positions = prod(int(it.extent) for it in tables)
        return 1 + len(postorder(definition.body)) / positions, costs.bits
    return costs.work + sum(a.trips for a in costs.accesses), costs.bits


def _runs_along_columns(product: Contraction) -> bool:
    """Whether the right side lies in memory as vectors read it."""
    reads = [n for n in postorder(product.right) if isinstance(n, Read) and n.index]
    return any(n.index[-1].coefficient(product.vector) == 1 for n in reads)


def _in_the_middle(steps: Int) -> float:
    """A number of steps where the block that stands for all is the one in the middle."""
    middle: dict[Any, Int] = {}
    for at in steps.leaves():
        low, high = at.bounds()
        assert low is not None and high is not None  # blocks begin somewhere
        middle[at] = Int.of((low + high) // 2)
    return float(int(steps.sub(middle)))


def _streamed(read: Read, step: Iter, ranges: Ranges) -> float:
    """Bytes that all steps of a block read, each at another place; 0 for what stays where it is."""
    if not any(step in index.leaves() for index in read.index):
        return 0.0
    size = float(read.tensor.dtype.bytes)
    for index, axis in zip(read.index, read.tensor.shape, strict=True):
        moving = [it for it in index.leaves() if isinstance(it, Iter) and it in ranges]
        size *= ranges[moving[0]].extent if moving and step not in index.leaves() else int(axis)
    return size


def _bytes(definition: Definition, ranges: Ranges) -> float:
    size = prod(int(part_of(it, ranges).extent) for it in definition.iters)
    return float(size * definition.tensor.dtype.bytes)
