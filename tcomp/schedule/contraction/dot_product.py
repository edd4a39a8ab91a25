"""Tiles of dot products: vectors of left times vectors of right, both along inner, folded at the end.

For few rows and a right that is contiguous along inner (the weights of a linear layer): it is read once,
as it lies, at the speed of the memory that holds it.
"""

from __future__ import annotations

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Const,
    Declare,
    Expr,
    For,
    Horizontal,
    Load,
    Local,
    LoopVar,
    Op,
    Prefetch,
    Stmt,
    Store,
)
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.dimensions import Dimension
from tcomp.schedule.contraction.geometry import Geometry, replace_sums
from tcomp.schedule.contraction.nest import TaskNest
from tcomp.schedule.contraction.tasks import Place, Tile
from tcomp.schedule.contraction.tile import leading, multiply_add
from tcomp.schedule.vectorize import vectorize


class DotProductNest(TaskNest):
    """Tiles of `tile_rows` rows and `tile_vectors` columns, a vector of partial sums for each element."""

    def __init__(self, geometry: Geometry, blocking: Blocking) -> None:
        super().__init__(geometry, blocking, blocking.tile_vectors)
        c = geometry.contraction
        self.left_value = geometry.factor(c.left, geometry.rows, self.inner)
        self.right_value = geometry.factor(c.right, geometry.columns, self.inner)

    def tile(self, rows: int, columns: int, tile: Tile) -> list[Stmt]:
        dtype = self.g.dtype
        zero = Const(0.0 if dtype.is_float else 0, dtype, self.b.lanes)
        sums = [
            [self.names.local(f"dot{i}_{j}", dtype, self.b.lanes) for j in range(columns)]
            for i in range(rows)
        ]
        statements: list[Stmt] = [Declare(local, zero) for row in sums for local in row]
        statements += self._loops(sums, tile, list(self.inner), {})
        for i in range(rows):
            for j in range(columns):
                statements.append(self._store(tile, i, j, Horizontal("add", sums[i][j])))
        return statements

    def _loops(
        self, sums: list[list[Local]], tile: Tile, inner: list[Dimension], at: Place
    ) -> list[Stmt]:
        """Loops over inner; the last dimension in vectors."""
        dimension, *rest = inner
        counter, extent = dimension.at, dimension.extent
        if rest:
            var = self.names.loop(counter.name, 0, extent - 1)
            body = self._loops(sums, tile, rest, at | {counter: Int.of(var)})
            return [For(var, Int.of(0), Int.of(extent), tuple(body))]
        statements: list[Stmt] = []
        done = 0
        for step in (self.b.lanes * self.b.unroll, self.b.lanes):
            stop = extent // step * step
            if stop > done:
                var = self.names.loop(counter.name, done, stop - 1)
                body = []
                for offset in range(0, step, self.b.lanes):
                    place = at | {counter: Int.of(var) + offset}
                    body += self._ahead(tile, place, len(sums[0]), counter)
                    body += self._products(sums, tile, counter, place, self.b.lanes)
                statements.append(For(var, Int.of(done), Int.of(stop), tuple(body), step))
                done = stop
        if extent > done:
            place = at | {counter: Int.of(done)}
            statements += self._products(sums, tile, counter, place, extent - done)
        return statements

    def _ahead(self, tile: Tile, at: Place, columns: int, counter: LoopVar) -> list[Stmt]:
        """Asks for the vectors of right that come `prefetch` positions later."""
        value = self.right_value
        if not self.b.prefetch or not isinstance(value, Load):
            return []
        place = tile.task.place | at | {counter: at[counter] + self.b.prefetch}
        return [
            Prefetch(value.buffer, value.index.sub(place | {self.g.columns.at: tile.column + j}), 1)
            for j in range(columns)
        ]

    def _products(
        self, sums: list[list[Local]], tile: Tile, counter: LoopVar, at: Place, width: int
    ) -> list[Stmt]:
        """Adds one vector of products to every sum; lanes from `width` on do not count."""
        mask = leading(width, self.b.lanes)
        place = tile.task.place | at
        left = vectorize(self.left_value, counter, self.b.lanes, mask)
        right = vectorize(self.right_value, counter, self.b.lanes, mask)
        rows, columns = self.g.rows.at, self.g.columns.at
        statements: list[Stmt] = []
        a = [
            self._named("a", left.sub(place | {rows: tile.row + i}), statements)
            for i in range(len(sums))
        ]
        for j in range(len(sums[0])):
            b = self._named("b", right.sub(place | {columns: tile.column + j}), statements)
            for i, row in enumerate(sums):
                value = multiply_add(a[i], b, row[j], self.g.scope.target.has_fma)
                if mask is not None:
                    value = Op("where", (mask, value, row[j]), value.dtype)
                statements.append(Assign(row[j], value))
        return statements

    def _named(self, stem: str, value: Expr, statements: list[Stmt]) -> Local:
        local = self.names.local(stem, self.g.dtype, self.b.lanes)
        statements.append(Declare(local, value))
        return local

    def _store(self, tile: Tile, row: int, column: int, total: Expr) -> Stmt:
        place = tile.task.place | {
            self.g.rows.at: tile.row + row,
            self.g.columns.at: tile.column + column,
        }
        value = replace_sums(self.g.epilogue.sub(place), self.g, total)
        return Store(self.g.output.buffer, self.g.address.sub(place), value)
