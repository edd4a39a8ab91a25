"""Tiles whose products are dot products of words: outer products of words, and dot products of rows of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Const,
    Declare,
    Expr,
    For,
    Horizontal,
    Load,
    Local,
    LoopVar,
    Op,
    Space,
    Stmt,
    Store,
)
from tcomp.ops.dots import WORD
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.dot_product import DotProductNest
from tcomp.schedule.contraction.operands import Right, SharedRight
from tcomp.schedule.contraction.outer_product import OuterProductNest
from tcomp.schedule.contraction.tasks import Place, Task, Tile
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
    """Sums of dot products; if it `has_excess`, also those of the left side's offset, by columns."""

    def __init__(
        self, shape: TileShape, dtype: DType, names: Names, form: WordForm, has_excess: bool
    ) -> None:
        super().__init__(shape, dtype, names)
        self.form = form
        count = shape.vectors if has_excess else 0
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


@dataclass(frozen=True, slots=True)
class OffsetRight:
    """A shared right side with the sums of its columns times the left side's offset, negative: what tiles
    start from, so that the offset is gone from their sums."""

    words: SharedRight
    form: WordForm
    excess: Buffer

    @staticmethod
    def of(words: SharedRight, form: WordForm) -> OffsetRight:
        g = words.g
        extent = g.spread.extent * ceil(g.columns.extent / words.width) * words.width
        excess = Buffer(g.scope.names.fresh("excess"), g.dtype, extent, Space.WORKSPACE)
        return OffsetRight(words, form, excess)

    def share(self, place: Place) -> list[Stmt]:
        return [*self.words.share(place), self._sums()]

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        return []

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        return self.words.vector(tile, vector, shape, inner)

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        return self.words.ahead(tile, shape, inner, unroll)

    def begin(self, tile: Tile) -> list[Stmt]:
        return []

    def first(self, tile: Tile, vector: int) -> Expr:
        """What the sums of a tile's vector start from."""
        lanes, width = self.words.b.lanes, self.words.width
        panels = ceil(self.words.g.columns.extent / width)
        panel = tile.task.place[self.words.g.spread.at] * panels + tile.column // width
        return Load(self.excess, panel * width + vector * lanes, lanes)

    def _sums(self) -> Stmt:
        """Fills `excess`, a panel after the other."""
        g, b, width = self.words.g, self.words.b, self.words.width
        panels = g.spread.extent * ceil(g.columns.extent / width)
        panel = g.scope.names.loop("j", 0, panels - 1)
        word = g.scope.names.loop("w", 0, g.inner - 1)
        zero = Const(0, g.dtype, b.lanes)
        sums = [g.scope.names.local("excess", g.dtype, b.lanes) for _ in range(b.tile_vectors)]
        add: list[Stmt] = []
        keep: list[Stmt] = []
        for v, local in enumerate(sums):
            row = (Int.of(panel) * g.inner + Int.of(word)) * width
            words = Load(self.words.buffer, row + v * b.lanes, b.lanes)
            add.append(Assign(local, self.form.multiply(local, offsets(b.lanes), words)))
            less = Op("sub", (zero, local), g.dtype)
            keep.append(Store(self.excess, Int.of(panel) * width + v * b.lanes, less))
        body = [
            *(Declare(local, zero) for local in sums),
            For(word, Int.of(0), Int.of(g.inner), tuple(add)),
            *keep,
        ]
        return For(panel, Int.of(0), Int.of(panels), tuple(body), 1, bool(b.parallel))


class WordOuterProductNest(OuterProductNest):
    """Tiles of outer products of words."""

    g: WordGeometry

    def right_operand(self) -> Right:
        right = super().right_operand()
        if isinstance(right, SharedRight) and self.g.form.offset:
            return OffsetRight.of(right, self.g.form)
        return right

    def accumulators(self, shape: TileShape) -> Accumulators:
        apart = isinstance(self.right, OffsetRight)
        has_excess = self.g.form.offset and not apart
        return WordAccumulators(shape, self.g.dtype, self.names, self.g.form, has_excess)

    def begin(self, tile: Tile, sums: Accumulators) -> list[Stmt]:
        if not isinstance(self.right, OffsetRight):
            return sums.zero()
        first = [self.right.first(tile, v) for v in range(sums.shape.vectors)]
        return [Declare(local, first[v]) for row in sums.locals for v, local in enumerate(row)]


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
