"""The loops around register tiles: tasks, blocks of inner, packed operands, partial tiles, the epilogue.

    for batch:                                              (a loop of its own only where right is shared)
      parallel: pack right, panel by panel                  (right SHARED)
      parallel task = (batch, spread, block of rows, block of columns):
        for block of inner:
          pack left's rows and right's columns              (PRIVATE)
          for column panel: for row panel: tile             (sliver of right in L1, block of left in L2)

A tile starts from zero, or from the partial sums that the block of inner before left in the output; the
last one applies the epilogue in registers and stores.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Const, Expr, For, If, IntValue, Load, Op, Stmt, Store
from tcomp.schedule.contraction.blocking import DIRECT, SHARED, Blocking
from tcomp.schedule.contraction.geometry import Geometry, replace_sums
from tcomp.schedule.contraction.operands import left_operand, right_operand
from tcomp.schedule.contraction.tasks import Place, RowPanels, Task, Tile, column_panels
from tcomp.schedule.contraction.tile import Accumulators, Operands, Span, TileShape
from tcomp.schedule.vectorize import vectorize


def tile_nest(geometry: Geometry, blocking: Blocking) -> tuple[Stmt, ...]:
    """The statements that make a contraction by register tiles."""
    return _TileNest(geometry, blocking).statements()


class _TileNest:
    def __init__(self, geometry: Geometry, blocking: Blocking) -> None:
        self.g, self.b = geometry, blocking
        self.names, self.lanes = geometry.scope.names, geometry.lanes
        self.width = blocking.tile_vectors * self.lanes
        self.panels = RowPanels.of(geometry.rows.extent, blocking.tile_rows)
        self.blocks = ceil(geometry.inner / blocking.depth)
        c, direct = geometry.contraction, []
        if blocking.left == DIRECT:
            direct.append((c.left, geometry.rows))
        if blocking.right == DIRECT:
            direct.append((c.right, geometry.columns))
        self.inner = geometry.inner_dimensions(direct)
        self.left = left_operand(geometry, blocking, self.panels, self.inner)
        self.right = right_operand(geometry, blocking, self.inner)

    # -- tasks -------------------------------------------------------------------------------------

    def statements(self) -> tuple[Stmt, ...]:
        g, b = self.g, self.b
        row_blocks = ceil(self.panels.count / b.task_panels)
        column_blocks = ceil(g.columns.extent / b.task_columns)
        around = [g.spread.extent, row_blocks, column_blocks]
        if b.right == SHARED:
            return tuple(self._batches(around))
        around = [g.batch.extent, *around]
        return tuple(
            self._tasks(around, lambda at: self._task(self._locate({g.batch.at: at[0]}, at[1:])))
        )

    def _batches(self, around: list[int]) -> list[Stmt]:
        """One product after the other, each with all threads."""
        batch = self.g.batch
        var = self.names.loop("batch", 0, batch.extent - 1)
        place = {batch.at: Int.of(var)}
        body = [
            *self.right.share(place),
            *self._tasks(around, lambda at: self._task(self._locate(place, at))),
        ]
        return [For(var, Int.of(0), Int.of(batch.extent), tuple(body))]

    def _tasks(self, around: list[int], body: Callable[[list[Int]], list[Stmt]]) -> list[Stmt]:
        """One loop over a box of tasks, the last extent fastest."""
        var = self.names.loop("task", 0, prod(around) - 1)
        at: list[Int] = []
        rest = Int.of(var)
        for extent in reversed(around):
            at.insert(0, rest % extent)
            rest = rest // extent
        parallel = bool(self.b.parallel) and prod(around) > 1
        return [For(var, Int.of(0), Int.of(prod(around)), tuple(body(at)), 1, parallel)]

    def _locate(self, place: Place, at: list[Int]) -> Task:
        spread, row_block, column_block = at
        panel, column = row_block * self.b.task_panels, column_block * self.b.task_columns
        return Task(
            place | {self.g.spread.at: spread},
            panel,
            (panel + self.b.task_panels).min(self.panels.count),
            column,
            (column + self.b.task_columns).min(self.g.columns.extent),
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
        statements = [*self.left.pack(task, start, stop), *self.right.pack(task, start, stop)]
        first = task.first_column
        for columns in column_panels(
            first, task.stop_column, self.b.task_columns, self.g.columns.extent,
            self.width, self.names,
        ):  # fmt: skip
            local = (columns.first - first) // self.width
            tiles: list[Stmt] = []
            for rows in self.panels.within(task.first_panel, task.stop_panel, self.names):
                panel = Int.of(rows.counter) - task.first_panel
                tile = Tile(task, block, start, stop, panel, local, rows.first, columns.first)
                body = self._tile(TileShape.of(rows.width, columns.width, self.lanes), tile)
                tiles.append(For(rows.counter, rows.start, rows.stop, tuple(body)))
            statements.append(For(columns.counter, columns.start, columns.stop, tuple(tiles)))
        return statements

    # -- one tile ----------------------------------------------------------------------------------

    def _tile(self, shape: TileShape, tile: Tile) -> list[Stmt]:
        sums = Accumulators(shape, self.g.dtype, self.names)
        operands = Operands(
            left=lambda i, k: self.left.element(tile, i, k),
            right=lambda v, k: self.right.vector(tile, v, shape, k),
        )
        statements = sums.zero()
        if tile.block is not None:
            resume = sums.assign(lambda i, v: self._partial(tile, shape, i, v))
            statements.append(If(_compare("gt", tile.block, 0), tuple(resume)))
        fused = self.g.scope.target.has_fma
        statements += sums.add_products(operands, self._spans(tile), fused)
        finish = self._stores(
            tile, shape, lambda i, v: self._finished(sums.locals[i][v], tile, shape, i, v)
        )
        keep = self._stores(tile, shape, lambda i, v: sums.locals[i][v])
        if tile.block is None or keep == finish:
            return statements + finish
        last = _compare("eq", tile.block, self.blocks - 1)
        return [*statements, If(last, tuple(finish), tuple(keep))]

    def _spans(self, tile: Tile) -> list[Span]:
        """Loops over inner; short innermost ones are unrolled whole."""
        first, *rest = self.inner
        unit = prod(d.extent for d in rest)
        unrolls = [1] * len(rest) + [self.b.unroll]
        if rest and rest[-1].extent <= 2 * self.b.unroll:
            unrolls[-1] = rest[-1].extent
        start, stop = tile.start // unit, tile.stop // unit
        spans = [Span.part(first.at, start, stop, first.extent, unrolls[0])]
        spans += [Span.whole(d.at, d.extent, u) for d, u in zip(rest, unrolls[1:], strict=True)]
        return spans

    def _position(self, tile: Tile, row: int, vector: int) -> Place:
        column = tile.column + vector * self.lanes
        return tile.task.place | {self.g.rows.at: tile.row + row, self.g.columns.at: column}

    def _partial(self, tile: Tile, shape: TileShape, row: int, vector: int) -> Expr:
        address = self.g.address.sub(self._position(tile, row, vector))
        mask = shape.mask(vector)
        return Load(self.g.output.buffer, address, self.lanes, self.g.step(), mask)

    def _finished(self, sums: Expr, tile: Tile, shape: TileShape, row: int, vector: int) -> Expr:
        value = vectorize(self.g.epilogue, self.g.columns.at, self.lanes, shape.mask(vector))
        return replace_sums(value.sub(self._position(tile, row, vector)), self.g, sums)

    def _stores(
        self, tile: Tile, shape: TileShape, value: Callable[[int, int], Expr]
    ) -> list[Stmt]:
        buffer, step = self.g.output.buffer, self.g.step()
        return [
            Store(
                buffer,
                self.g.address.sub(self._position(tile, i, v)),
                value(i, v),
                step,
                shape.mask(v),
            )
            for i in range(shape.rows)
            for v in range(shape.vectors)
        ]


def _compare(op: str, left: Int, right: int) -> Expr:
    return Op(op, (IntValue(left, i64), Const(right, i64)), boolean)
