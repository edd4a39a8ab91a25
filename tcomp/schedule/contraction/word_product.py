"""Tiles whose products are dot products of words: outer products of words, and dot products of rows of words."""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.dtypes import DType
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Const,
    Declare,
    Expr,
    Horizontal,
    Local,
    LoopVar,
    Op,
    Stmt,
)
from tcomp.ops.dots import WORD
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.dot_product import DotProductNest
from tcomp.schedule.contraction.outer_product import OuterProductNest
from tcomp.schedule.contraction.tasks import Place, Tile
from tcomp.schedule.contraction.tile import (
    Accumulators,
    Operands,
    Position,
    Span,
    TileShape,
    leading,
)
from tcomp.schedule.contraction.words import WordForm, WordGeometry
from tcomp.schedule.naming import Names
from tcomp.schedule.vectorize import vectorize

_OFFSETS = 0x80808080 - (1 << 32)  # the bytes 128, 128, 128, 128 as an i32


def offsets(lanes: int) -> Const:
    """128 in every byte, what the left side has too much."""
    return Const(_OFFSETS, WORD, lanes)


class WordAccumulators(Accumulators):
    """Sums of dot products; where the left side is offset, also those of the offset, by columns."""

    def __init__(self, shape: TileShape, dtype: DType, names: Names, form: WordForm) -> None:
        super().__init__(shape, dtype, names)
        self.form = form
        count = shape.vectors if form.offset else 0
        self.excess = [names.local(f"excess{v}", dtype, shape.lanes) for v in range(count)]

    def add_products(self, operands: Operands, spans: Sequence[Span], fused: bool) -> list[Stmt]:
        zero = Const(0, self.dtype, self.shape.lanes)
        begin = [Declare(local, zero) for local in self.excess]
        statements = [*begin, *super().add_products(operands, spans, fused)]
        if self.excess:
            statements += self.assign(
                lambda i, v: Op("sub", (self.locals[i][v], self.excess[v]), self.dtype)
            )
        return statements

    def _step(self, operands: Operands, at: Position, fused: bool) -> list[Stmt]:
        shape, statements = self.shape, list[Stmt]()
        columns: list[Local] = []
        for v in range(shape.vectors):
            columns.append(self._names.local("b", WORD, shape.lanes))
            statements.append(Declare(columns[v], operands.right(v, at)))
        for v, local in enumerate(self.excess):
            more = self.form.multiply(local, offsets(shape.lanes), columns[v])
            statements.append(Assign(local, more))
        for i, row in enumerate(self.locals):
            factor = self._names.local("a", WORD, shape.lanes)
            statements.append(Declare(factor, Broadcast(operands.left(i, at), shape.lanes)))
            for v, local in enumerate(row):
                statements.append(Assign(local, self.form.multiply(local, factor, columns[v])))
        return statements


class WordOuterProductNest(OuterProductNest):
    """Tiles of outer products of words."""

    def accumulators(self, shape: TileShape) -> Accumulators:
        assert isinstance(self.g, WordGeometry)
        return WordAccumulators(shape, self.g.dtype, self.names, self.g.form)


class WordDotProductNest(DotProductNest):
    """Tiles of dot products of rows of words."""

    def __init__(self, geometry: WordGeometry, blocking: Blocking) -> None:
        super().__init__(geometry, blocking)
        self.form = geometry.form

    def tile(self, rows: int, columns: int, tile: Tile) -> list[Stmt]:
        dtype = self.g.dtype
        zero = Const(0.0 if dtype.is_float else 0, dtype, self.b.lanes)
        sums = [
            [self.names.local(f"dot{i}_{j}", dtype, self.b.lanes) for j in range(columns)]
            for i in range(rows)
        ]
        if self.form.offset:  # the last row stands for a left side of nothing but the offset
            sums.append(
                [self.names.local(f"excess{j}", dtype, self.b.lanes) for j in range(columns)]
            )
        statements: list[Stmt] = [Declare(local, zero) for row in sums for local in row]
        statements += self._loops(sums, tile, list(self.inner), {})
        for i in range(rows):
            for j in range(columns):
                total: Expr = sums[i][j]
                if self.form.offset:
                    total = Op("sub", (total, sums[rows][j]), dtype)
                statements.append(self._store(tile, i, j, Horizontal("add", total)))
        return statements

    def _products(
        self, sums: list[list[Local]], tile: Tile, counter: LoopVar, at: Place, width: int
    ) -> list[Stmt]:
        """Adds one vector of words to every sum. Lanes from `width` on are zero on the right side."""
        mask = leading(width, self.b.lanes)
        place = tile.task.place | at
        left = vectorize(self.left_value, counter, self.b.lanes, mask)
        right = vectorize(self.right_value, counter, self.b.lanes, mask)
        rows, columns = self.g.rows.at, self.g.columns.at
        statements: list[Stmt] = []
        count = len(sums) - self.form.offset
        a: list[Expr] = [
            self._word(left.sub(place | {rows: tile.row + i}), mask, statements)
            for i in range(count)
        ]
        if self.form.offset:
            a.append(offsets(self.b.lanes))
        for j in range(len(sums[0])):
            b = self._word(right.sub(place | {columns: tile.column + j}), mask, statements)
            for i, row in enumerate(sums):
                statements.append(Assign(row[j], self.form.multiply(row[j], a[i], b)))
        return statements

    def _word(self, value: Expr, mask: Expr | None, statements: list[Stmt]) -> Local:
        if mask is not None:
            value = Op("where", (mask, value, Const(0, WORD, self.b.lanes)), WORD)
        local = self.names.local("w", WORD, self.b.lanes)
        statements.append(Declare(local, value))
        return local
