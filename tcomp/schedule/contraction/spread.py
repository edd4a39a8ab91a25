"""How tasks divide `spread`: single positions, or blocks along its last iterator, which right is packed for together.

A block is worth it where memory is contiguous along that iterator: each line of right is then read once, and not
again for each of its elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Expr, Load
from tcomp.schedule.contraction.dimensions import Dimension, strides
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.tasks import Task

_PIECE = 1024  # bytes side by side from which memory is read well enough
_ROOM = (
    4  # times L2, for what is packed together (abcde-efbad-cf: 6 places 4.36 ms, 24 places 3.97)
)
_TASKS = 4  # for each thread at least


@dataclass(frozen=True, slots=True)
class SpreadBlocks:
    """Blocks of at most `size` positions of `spread`; `last` is its last iterator as a dimension of its own."""

    spread: Dimension
    last: Dimension
    size: int

    @staticmethod
    def of(g: Geometry, size: int) -> SpreadBlocks:
        """Blocks of so many positions."""
        return SpreadBlocks(g.spread, last_of_spread(g), size)

    @property
    def count(self) -> int:
        """How many there are."""
        if self.size == 1:
            return self.spread.extent
        return self.spread.extent // self.last.extent * ceil(self.last.extent / self.size)

    def bounds(self, block: Int) -> tuple[Int, Int]:
        """The first position of a block, and how many there are."""
        if self.size == 1:
            return block, Int.of(1)
        blocks, extent = ceil(self.last.extent / self.size), self.last.extent
        first = block % blocks * self.size
        return block // blocks * extent + first, (Int.of(extent) - first).min(self.size)

    def along_last(self, value: Expr, task: Task) -> tuple[Expr, Int]:
        """A value at a task's place, over the counter of `last` too, and where on that the task's block starts."""
        start = task.place[self.spread.at]
        first = start % self.last.extent
        value, place = self.over_last(value, start - first), task.place
        return value.sub({at: p for at, p in place.items() if at is not self.spread.at}), first

    def over_last(self, value: Expr, start: Int) -> Expr:
        """A value over the counter of `last`, whose first place on spread is `start`."""
        return value.sub({self.spread.at: start + Int.of(self.last.at)})


def last_of_spread(g: Geometry) -> Dimension:
    """The last iterator of spread as a dimension."""
    return g.scope.dimension(g.spread.iters[-1:], "last")


def step_along_last(g: Geometry) -> int:
    """Elements from one place of right to the next along the last iterator of spread; 0 where it is no plain load or
    there is no constant step."""
    value = g.right.value
    if g.spread.extent == 1 or not isinstance(value, Load) or value.mask or value.word:
        return 0
    blocks = SpreadBlocks.of(g, 1)
    return max(strides(blocks.over_last(value, Int.of(0)), blocks.last.at) or {0})


def legal_sizes(g: Geometry) -> tuple[int, ...]:
    """The sizes that blocks can have, the largest first: single places, and where right is contiguous along the
    last iterator, or in runs that follow each other along it, even parts of that."""
    step = step_along_last(g)
    if step == 0 or not (_follows(g, step) if g.right.by_lines else step == 1):
        return (1,)
    unit = 1 if g.right.by_lines else g.lanes
    extent = last_of_spread(g).extent
    sizes = [min(extent, ceil(ceil(extent / n) / unit) * unit) for n in range(1, extent + 1)]
    return (*dict.fromkeys(size for size in sizes if size > 1), 1)


def _follows(g: Geometry, step: int) -> bool:
    """Whether runs of `step` elements are what right has side by side at one place."""
    across = g.right.across
    run = g.right.runs[-1 if across is None else across]
    return run.extent == step and strides(g.right.by_run, run.at) == {1}


def preferred_size(g: Geometry, packed: int, tasks: int, threads: int) -> int:
    """How many places of spread right is best packed for together: as many as there is room for, where it comes from
    beyond L2 in small pieces. `packed` elements are those of one place, `tasks` their number."""
    l2, size = g.scope.target.l2, g.dtype.bytes
    everything = g.batch.extent * g.spread.extent * g.inner * g.columns.extent * size
    if everything <= l2 or step_along_last(g) * size >= _PIECE:
        return 1
    fitting = (n for n in legal_sizes(g) if n * packed * size <= _ROOM * l2)
    return next((n for n in fitting if _is_shared_out(tasks // n, threads)), 1)


def _is_shared_out(tasks: int, threads: int) -> bool:
    """Whether threads share so many tasks well: there are many, or a few for each."""
    return tasks >= _TASKS * threads or (tasks >= 2 * threads and tasks % threads == 0)


def size_for_left(g: Geometry, tasks: int, threads: int) -> int:
    """How many places of spread a task makes with one copy of left: all that leave tasks for the threads."""
    extent = last_of_spread(g).extent
    sizes = dict.fromkeys(ceil(extent / n) for n in range(1, extent + 1))
    return next((n for n in sizes if _is_shared_out(tasks // n, threads)), 1)
