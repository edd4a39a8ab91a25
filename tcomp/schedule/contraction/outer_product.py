"""Tiles of outer products: broadcast elements of left times vectors of right, sums in registers.

A tile starts from zero, or from the partial sums that the block of inner before left in the output; the
last one applies the epilogue in registers and stores.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import prod

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, IntLike
from tcomp.ir.loop.nodes import (
    Buffer,
    Const,
    Expr,
    For,
    If,
    IntValue,
    Load,
    Op,
    Prefetch,
    Space,
    Stmt,
    Store,
)
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.geometry import Geometry, replace_sums
from tcomp.schedule.contraction.nest import TaskNest
from tcomp.schedule.contraction.operands import Right, right_operand
from tcomp.schedule.contraction.tasks import Place, Tile
from tcomp.schedule.contraction.tile import Accumulators, Operands, Span, TileShape
from tcomp.schedule.interleave import interleave_stores
from tcomp.schedule.vectorize import vectorize


class RegisterTileNest(TaskNest):
    """Tiles of `tile_rows` rows and `tile_vectors` vectors of columns, whose sums are in registers."""

    def __init__(self, geometry: Geometry, blocking: Blocking) -> None:
        super().__init__(geometry, blocking, blocking.tile_vectors * blocking.lanes)
        extent = self.panels.tallest * self.width
        self.staged = Buffer(self.names.fresh("sums"), geometry.dtype, extent, Space.PRIVATE)

    def accumulators(self, shape: TileShape) -> Accumulators:
        """The sums of a tile, and how products are added to them."""
        return Accumulators(shape, self.g.dtype, self.names)

    def tile(self, rows: int, columns: int, tile: Tile) -> list[Stmt]:
        shape = TileShape.of(rows, columns, self.b.lanes)
        sums = self.accumulators(shape)
        statements = [*self.begin(tile, sums), *self._output_ahead(tile, shape)]
        if tile.block is not None:
            resume = sums.assign(lambda i, v: self._partial(tile, shape, i, v))
            statements.append(If(_compare("gt", tile.block, 0), tuple(resume)))
        statements += self.add_products(tile, shape, sums)
        finish = self._finish(tile, shape, sums)
        keep = self._stores(tile, shape, lambda i, v: sums.locals[i][v])
        if tile.block is None or keep == finish:
            return statements + finish
        last = _compare("eq", tile.block, self.blocks - 1)
        return [*statements, If(last, tuple(finish), tuple(keep))]

    def begin(self, tile: Tile, sums: Accumulators) -> list[Stmt]:
        """Declares the sums with what they are before any product."""
        return sums.zero()

    @abstractmethod
    def add_products(self, tile: Tile, shape: TileShape, sums: Accumulators) -> list[Stmt]:
        """Adds the products of the tile's range of inner to its sums."""

    def _finish(self, tile: Tile, shape: TileShape, sums: Accumulators) -> list[Stmt]:
        """Applies the epilogue and stores: in registers, or if it is long in a loop over the tile's rows,
        from memory that stays in L1. In registers its code is there for each vector of each kind of tile, and
        what it needs of registers pushes the sums to the stack."""
        if not self.b.staged:
            return self._stores(
                tile, shape, lambda i, v: self._finished(sums.locals[i][v], tile, shape, i, v)
            )
        lanes = self.b.lanes
        put: list[Stmt] = [
            Store(self.staged, Int.of(i * self.width + v * lanes), sums.locals[i][v])
            for i in range(shape.rows)
            for v in range(shape.vectors)
        ]
        row = self.names.loop("row", 0, shape.rows - 1)
        body = [
            self._store(
                tile,
                shape,
                Int.of(row),
                v,
                self._finished(
                    Load(self.staged, Int.of(row) * self.width + v * lanes, lanes),
                    tile,
                    shape,
                    Int.of(row),
                    v,
                ),
            )
            for v in range(shape.vectors)
        ]
        return [*put, For(row, Int.of(0), Int.of(shape.rows), tuple(body))]

    def _output_ahead(self, tile: Tile, shape: TileShape) -> list[Stmt]:
        """Asks for the output's lines: a tile's stores, all at once, would wait for memory."""
        if not self.b.prefetch or self.g.step() != 1:
            return []
        return [
            Prefetch(self.g.output.buffer, self.g.address.sub(self._position(tile, i, v)), 1, True)
            for i in range(shape.rows)
            for v in range(shape.vectors)
        ]

    def _position(self, tile: Tile, row: IntLike, vector: int) -> Place:
        column = tile.column + vector * self.b.lanes
        return tile.task.place | {self.g.rows.at: tile.row + row, self.g.columns.at: column}

    def _partial(self, tile: Tile, shape: TileShape, row: int, vector: int) -> Expr:
        address = self.g.address.sub(self._position(tile, row, vector))
        mask = shape.mask(vector)
        return Load(self.g.output.buffer, address, self.b.lanes, self.g.step(), mask)

    def _finished(
        self, sums: Expr, tile: Tile, shape: TileShape, row: IntLike, vector: int
    ) -> Expr:
        value = vectorize(self.g.epilogue, self.g.columns.at, self.b.lanes, shape.mask(vector))
        return replace_sums(value.sub(self._position(tile, row, vector)), self.g, sums)

    def _stores(
        self, tile: Tile, shape: TileShape, value: Callable[[int, int], Expr]
    ) -> list[Stmt]:
        stores = [
            self._store(tile, shape, i, v, value(i, v))
            for i in range(shape.rows)
            for v in range(shape.vectors)
        ]
        return list(interleave_stores(stores))

    def _store(self, tile: Tile, shape: TileShape, row: IntLike, vector: int, value: Expr) -> Stmt:
        address = self.g.address.sub(self._position(tile, row, vector))
        return Store(self.g.output.buffer, address, value, self.g.step(), shape.mask(vector))


class OuterProductNest(RegisterTileNest):
    """Tiles of outer products of elements."""

    right: Right

    def right_operand(self) -> Right:
        return right_operand(self.g, self.b, self.inner)

    def begin(self, tile: Tile, sums: Accumulators) -> list[Stmt]:
        return [*super().begin(tile, sums), *self.right.begin(tile)]

    def add_products(self, tile: Tile, shape: TileShape, sums: Accumulators) -> list[Stmt]:
        operands = Operands(
            left=lambda i, k: self.left.element(tile, i, k),
            right=lambda v, k: self.right.vector(tile, v, shape, k),
            ahead=lambda k: self.right.ahead(tile, shape, k, self.b.unroll),
        )
        return sums.add_products(operands, self._spans(tile), self.g.scope.target.has_fma)

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


def _compare(op: str, left: Int, right: int) -> Expr:
    return Op(op, (IntValue(left, i64), Const(right, i64)), boolean)
