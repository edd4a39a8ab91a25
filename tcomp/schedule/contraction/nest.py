"""The loops around tiles: tasks for threads, blocks of inner, packed operands, panels of rows and columns.

for batch:                                              (a loop of its own only where right is shared)
  parallel: pack right, panel by panel                  (right SHARED)
  parallel task = (batch, spread, block of rows, block of columns):
    for block of inner:
      pack left's rows and right's columns              (PRIVATE; for a block of places of spread at once)
      for column panel: for row panel: tile             (sliver of right in L1, block of left in L2;
                                                         by_rows: panel of left in L1, block of right in L2)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, prod

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import For, Stmt
from tcomp.schedule.contraction.blocking import DIRECT, SHARED, Blocking
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.operands import Prepared, left_operand, right_operand
from tcomp.schedule.contraction.spread import SpreadBlocks
from tcomp.schedule.contraction.tasks import Panels, Place, Task, Tile, column_panels


class TaskNest(ABC):
    """What all forms of tiles have in common; a form says how wide its tiles are and what is in them."""

    def __init__(self, geometry: Geometry, blocking: Blocking, width: int) -> None:
        self.g, self.b, self.width = geometry, blocking, width
        self.names = geometry.scope.names
        self.panels = geometry.row_panels(blocking.tile_rows)
        self.blocks = ceil(geometry.inner / blocking.depth)
        self.spread = SpreadBlocks.of(geometry, blocking.task_spread)
        c, direct = geometry.contraction, []
        if blocking.left == DIRECT:
            direct.append((c.left, geometry.rows))
        if blocking.right == DIRECT:
            direct.append((c.right, geometry.columns))
        self.inner = geometry.inner_dimensions(direct)
        self.left = left_operand(geometry, blocking, self.panels, self.inner)
        self.right = self.right_operand()

    def right_operand(self) -> Prepared:
        """The right side as the blocking wants it."""
        return right_operand(self.g, self.b, self.inner)

    def before_tasks(self, place: Place) -> list[Stmt]:
        """What all tasks of one product need, beside a shared right side."""
        return []

    @abstractmethod
    def tile(self, rows: int, columns: int, tile: Tile) -> list[Stmt]:
        """The code of one tile."""

    # -- tasks -------------------------------------------------------------------------------------

    def statements(self) -> tuple[Stmt, ...]:
        """The whole contraction."""
        g, b = self.g, self.b
        row_blocks = ceil(self.panels.count / b.task_panels)
        column_blocks = ceil(g.columns.extent / b.task_columns)
        around = [self.spread.count, row_blocks, column_blocks]
        if b.right == SHARED:
            return tuple(self._batches(around))
        around = [g.batch.extent, *around]

        def locate(number: Int) -> Task:
            batch, *at = _positions(number, around)
            return self._locate({g.batch.at: batch}, at)

        def body(number: Int) -> list[Stmt]:
            return self._task(replace(locate(number), after=locate(number + 1)))

        return tuple(self._tasks(around, body))

    def before_and_at_each_step(self) -> tuple[tuple[Stmt, ...], tuple[Stmt, ...]]:
        """What can be done once before the loops around, and the rest: right is packed only once where
        it is the same at each of their points (the weights of a recurrence)."""
        g = self.g
        outside = {a for index in g.scope.point.values() for a in index.leaves()}
        if self.b.right != SHARED or g.batch.extent > 1 or g.right.value.free_atoms() & outside:
            return (), self.statements()
        row_blocks = ceil(self.panels.count / self.b.task_panels)
        column_blocks = ceil(g.columns.extent / self.b.task_columns)
        around = [self.spread.count, row_blocks, column_blocks]
        place = {g.batch.at: Int.of(0)}
        tasks = self._tasks(
            around, lambda n: self._task(self._locate(place, _positions(n, around)))
        )
        return tuple(self.right.share(place)), (*self.before_tasks(place), *tasks)

    def _batches(self, around: list[int]) -> list[Stmt]:
        """One product after the other, each with all threads."""
        batch = self.g.batch
        var = self.names.loop("batch", 0, batch.extent - 1)
        place = {batch.at: Int.of(var)}
        body = [
            *self.right.share(place),
            *self.before_tasks(place),
            *self._tasks(around, lambda n: self._task(self._locate(place, _positions(n, around)))),
        ]
        return [For(var, Int.of(0), Int.of(batch.extent), tuple(body))]

    def _tasks(self, around: list[int], body: Callable[[Int], list[Stmt]]) -> list[Stmt]:
        """One loop over a box of tasks, the last extent fastest."""
        var = self.names.loop("task", 0, prod(around) - 1)
        parallel = bool(self.b.parallel) and prod(around) > 1
        return [For(var, Int.of(0), Int.of(prod(around)), tuple(body(Int.of(var))), 1, parallel)]

    def _locate(self, place: Place, at: list[Int]) -> Task:
        spread, row_block, column_block = at
        panel, column = row_block * self.b.task_panels, column_block * self.b.task_columns
        first, spreads = self.spread.bounds(spread)
        return Task(
            place | {self.g.spread.at: first},
            panel,
            (panel + self.b.task_panels).min(self.panels.count),
            column,
            (column + self.b.task_columns).min(self.g.columns.extent),
            spreads,
        )

    def _task(self, task: Task) -> list[Stmt]:
        if self.blocks == 1:
            return self._block(task, None)
        var = self.names.loop("block", 0, self.blocks - 1)
        body = self._block(task, Int.of(var))
        return [For(var, Int.of(0), Int.of(self.blocks), tuple(body))]

    def _block(self, task: Task, block: Int | None) -> list[Stmt]:
        start = Int.of(0) if block is None else block * self.b.depth
        stop = (start + self.b.depth).min(self.g.inner)
        packed = [*self.left.pack(task, start, stop), *self.right.pack(task, start, stop)]
        if self.b.task_spread == 1:
            return [*packed, *self._tiles(task, Tile(task, block, start, stop))]
        at, var = self.g.spread.at, self.names.loop("s", 0, self.b.task_spread - 1)
        here = replace(task, place=task.place | {at: task.place[at] + Int.of(var)})
        tiles = self._tiles(task, Tile(here, block, start, stop, spread=Int.of(var)))
        return [*packed, For(var, Int.of(0), task.spreads, tuple(tiles))]

    def _tiles(self, task: Task, first: Tile) -> list[Stmt]:
        """The tiles of a task's rows and columns at one place of spread and block of inner."""
        column = task.first_column
        across = column_panels(
            column, task.stop_column, self.b.task_columns, self.g.columns.extent,
            self.width, self.names,
        )  # fmt: skip
        down = self.panels.within(task.first_panel, task.stop_panel, self.names)

        def tile(rows: Panels, columns: Panels) -> list[Stmt]:
            panel = Int.of(rows.counter) - task.first_panel
            local = (columns.first - column) // self.width
            place = replace(
                first, row_panel=panel, column_panel=local, row=rows.first, column=columns.first
            )
            return self.tile(rows.width, columns.width, place)

        if self.b.by_rows:
            return [_over(r, [_over(c, tile(r, c)) for c in across]) for r in down]
        return [_over(c, [_over(r, tile(r, c)) for r in down]) for c in across]


def _positions(number: Int, around: Sequence[int]) -> list[Int]:
    """Where a task is in the box of all, the last extent fastest."""
    at: list[Int] = []
    for extent in reversed(around):
        at.insert(0, number % extent)
        number = number // extent
    return at


def _over(panels: Panels, body: Sequence[Stmt]) -> For:
    return For(panels.counter, panels.start, panels.stop, tuple(body))
