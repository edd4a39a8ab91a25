"""Tiles across several places of spread, for columns that do not fill vectors.

    C[a, b, c, d, e, f] = sum[g](A[d, e, g, a] * B[g, f, b, c])    12 f fill 12 lanes, 4 x 12 of c, f three vectors

The columns of a task's places lie side by side in one packed panel, and so in a tile's sums. When these are done, each
place's run of columns is cut out of the vectors that it crosses, and stored where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Buffer, Expr, Load, Prefetch, Shuffle, Space, Stmt, Store
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.dimensions import flat
from tcomp.schedule.contraction.geometry import Geometry, replace_sums
from tcomp.schedule.contraction.operands import Right
from tcomp.schedule.contraction.outer_product import OuterProductNest
from tcomp.schedule.contraction.pack import Block, Packer
from tcomp.schedule.contraction.spread import SpreadBlocks
from tcomp.schedule.contraction.tasks import Place, Task, Tile
from tcomp.schedule.contraction.tile import Accumulators, Position, TileShape, leading
from tcomp.schedule.vectorize import vectorize


@dataclass(frozen=True, slots=True)
class JoinedRight:
    """The columns of all of a task's places of spread, side by side for each inner position."""

    g: Geometry
    b: Blocking
    buffer: Buffer
    width: int
    depth: Callable[[Position], Int]  # of a position of inner

    def share(self, place: Place) -> list[Stmt]:
        return []

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        g, right, columns = self.g, self.g.right, self.g.columns.extent
        blocks = SpreadBlocks.of(g, self.b.task_spread)
        value, at = blocks.along_last(right.by_run, task)
        own = Block.of((blocks.last, *right.runs), at * columns, (at + task.spreads) * columns)
        block = Block.of(right.inner, start, stop)
        return Packer(value, self.buffer, block, self.b.lanes, g.scope.names).lines(own, self.width)

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        at = self.depth(inner) * self.width + vector * self.b.lanes
        return Load(self.buffer, at, self.b.lanes)

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        return []

    def begin(self, tile: Tile) -> list[Stmt]:
        return []


@dataclass(frozen=True, slots=True)
class Piece:
    """A vector of a place's columns: `width` of them from column `first` of the place, `start` in a tile's row."""

    place: int
    first: int
    width: int
    start: int


class JoinedNest(OuterProductNest):
    """Tiles of outer products over several places of spread."""

    def right_operand(self) -> Right:
        g, b = self.g, self.b
        extent = self.width * g.inner
        buffer = Buffer(g.scope.names.fresh("right"), g.right.value.dtype, extent, Space.PRIVATE)
        return JoinedRight(g, b, buffer, self.width, lambda at: flat(self.inner).sub(at))

    def tile(self, rows: int, columns: int, tile: Tile) -> list[Stmt]:
        shape = TileShape.of(rows, self.width, self.b.lanes)
        sums = self.accumulators(shape)
        stores = [
            self._put(tile, sums, row, piece) for row in range(rows) for piece in self._pieces()
        ]
        ahead = [Prefetch(s.buffer, s.index, 1, True) for s in stores if self.b.prefetch]
        return [
            *self.begin(tile, sums),
            *ahead,
            *self.add_products(tile, shape, sums),
            *stores,
        ]

    def _block(self, task: Task, block: Int | None) -> list[Stmt]:
        start, stop = Int.of(0), Int.of(self.g.inner)
        return [
            *self.right.pack(task, start, stop),
            *self.left.pack(task, start, stop),
            *self._tiles(task, Tile(task, block, start, stop)),
        ]

    def _pieces(self) -> list[Piece]:
        columns, lanes = self.g.columns.extent, self.b.lanes
        return [
            Piece(place, first, min(lanes, columns - first), place * columns + first)
            for place in range(self.b.task_spread)
            for first in range(0, columns, lanes)
        ]

    def _put(self, tile: Tile, sums: Accumulators, row: int, piece: Piece) -> Store:
        """Applies the epilogue to a piece, and stores it."""
        g, lanes = self.g, self.b.lanes
        mask = leading(piece.width, lanes)
        spread = tile.task.place[g.spread.at] + piece.place
        at = tile.task.place | {
            g.spread.at: spread,
            g.rows.at: tile.row + row,
            g.columns.at: Int.of(piece.first),
        }
        value = vectorize(g.epilogue, g.columns.at, lanes, mask).sub(at)
        value = replace_sums(value, g, _cut(sums, row, piece, lanes))
        return Store(g.output.buffer, g.address.sub(at), value, g.step(), mask)


def _cut(sums: Accumulators, row: int, piece: Piece, lanes: int) -> Expr:
    """The piece's sums, from its first lane on."""
    number, offset = divmod(piece.start, lanes)
    low = sums.locals[row][number]
    if offset == 0:
        return low
    crosses = offset + piece.width > lanes
    high = sums.locals[row][number + 1] if crosses else low
    return Shuffle(low, high, tuple(range(offset, offset + lanes)))
