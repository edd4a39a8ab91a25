"""The register tile: a small block of the output in vector registers, summed over a range of `inner`.

    for k:  b[v] = right(k, v);  for i:  a = broadcast(left(i, k));  acc[i, v] = fma(a, b[v], acc[i, v])

The shape obeys `rows * vectors + vectors + 1 <= registers` (research: one register too many costs 4-7x),
so that everything but the loads stays in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.ir.dtypes import DType, boolean, i32
from tcomp.ir.integer import Int, IntLike
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Const,
    Declare,
    Expr,
    For,
    IntValue,
    Local,
    LoopVar,
    Op,
    Stmt,
)
from tcomp.schedule.naming import Names

Position: TypeAlias = dict[LoopVar, Int]  # what stands for the counters of the inner dimensions


@dataclass(frozen=True, slots=True)
class TileShape:
    """`widths[v]` elements of each row are in vector v; only the last vector may be partial."""

    rows: int
    widths: tuple[int, ...]
    lanes: int

    @staticmethod
    def of(rows: int, columns: int, lanes: int) -> TileShape:
        """The shape of a block of `columns` columns."""
        full, rest = divmod(columns, lanes)
        return TileShape(rows, (lanes,) * full + ((rest,) if rest else ()), lanes)

    @property
    def columns(self) -> int:
        return sum(self.widths)

    @property
    def vectors(self) -> int:
        return len(self.widths)

    def registers(self) -> int:
        """Vector registers that the inner loop keeps busy."""
        return self.rows * self.vectors + self.vectors + 1

    def mask(self, vector: int) -> Expr | None:
        """Which lanes of a vector are in the tile; None is all."""
        return leading(self.widths[vector], self.lanes)


def leading(width: int, lanes: int) -> Expr | None:
    """The constant mask of the first `width` lanes; None is all of them."""
    if width >= lanes:
        return None
    lane = IntValue(Int.of(0), i32, lanes, 1)
    return Op("lt", (lane, Const(width, i32, lanes)), boolean)


@dataclass(frozen=True, slots=True)
class Span:
    """A loop over part of an inner dimension: `counter` from `start` to `stop` (exclusive).

    Where `tail` is not 0 the whole dimension ends with that many positions that no unrolled group fills:
    they are at `end - tail`, and belong to the span that reaches `end`.
    """

    counter: LoopVar
    start: Int
    stop: Int
    unroll: int = 1
    end: int = 0
    tail: int = 0

    @staticmethod
    def whole(counter: LoopVar, extent: int, unroll: int) -> Span:
        """The span of a whole dimension."""
        return Span.part(counter, 0, extent, extent, unroll)

    @staticmethod
    def part(counter: LoopVar, start: IntLike, stop: IntLike, end: int, unroll: int) -> Span:
        """The span start .. stop of a dimension of `end` positions; start is a multiple of `unroll`."""
        unroll = max(1, min(unroll, end))
        return Span(counter, Int.of(start), Int.of(stop), unroll, end, end % unroll)


@dataclass(frozen=True, slots=True)
class Operands:
    """`left(row, k)` is a scalar, `right(vector, k)` a vector, both of the accumulators' type. `ahead(k)`
    asks for memory that is needed later; it comes before each unrolled group of positions from k on."""

    left: Callable[[int, Position], Expr]
    right: Callable[[int, Position], Expr]
    ahead: Callable[[Position], list[Stmt]] = lambda at: []


class Accumulators:
    """The locals of a tile, one vector for each row and vector."""

    def __init__(self, shape: TileShape, dtype: DType, names: Names) -> None:
        self.shape, self.dtype, self._names = shape, dtype, names
        self.locals = tuple(
            tuple(names.local(f"acc{i}_{v}", dtype, shape.lanes) for v in range(shape.vectors))
            for i in range(shape.rows)
        )

    def zero(self) -> list[Stmt]:
        """Declares the locals as zeros."""
        value = Const(0.0 if self.dtype.is_float else 0, self.dtype, self.shape.lanes)
        return [Declare(local, value) for row in self.locals for local in row]

    def assign(self, value: Callable[[int, int], Expr]) -> list[Stmt]:
        """Gives every local another value, found from its row and vector."""
        return [
            Assign(local, value(i, v))
            for i, row in enumerate(self.locals)
            for v, local in enumerate(row)
        ]

    def add_products(self, operands: Operands, spans: Sequence[Span], fused: bool) -> list[Stmt]:
        """Adds left * right, summed over the spans, the last one innermost."""
        return self._nest(operands, list(spans), {}, fused)

    def _nest(self, operands: Operands, spans: list[Span], at: Position, fused: bool) -> list[Stmt]:
        if not spans:
            return self._step(operands, at, fused)
        span, *inner = spans
        statements: list[Stmt] = []
        main = span.end - span.tail
        if main:
            var = self._names.loop(span.counter.name, 0, main - 1)
            body = [] if inner else operands.ahead(at | {span.counter: Int.of(var)})
            for u in range(span.unroll):
                body += self._nest(operands, inner, at | {span.counter: Int.of(var) + u}, fused)
            statements.append(For(var, span.start, span.stop.min(main), tuple(body), span.unroll))
        if span.tail:
            var = self._names.loop(span.counter.name, main, span.end - 1)
            rest = self._nest(operands, inner, at | {span.counter: Int.of(var)}, fused)
            statements.append(For(var, span.start.max(main), span.stop, tuple(rest)))
        return statements

    def _step(self, operands: Operands, at: Position, fused: bool) -> list[Stmt]:
        return self.add_product(operands.left, operands.right, at, fused)

    def add_product(
        self,
        left: Callable[[int, Position], Expr],
        right: Callable[[int, Position], Expr],
        at: Position,
        fused: bool,
        known: Callable[[int], bool] = lambda row: False,
    ) -> list[Stmt]:
        """Adds the product at one position of inner, without rows whose factor is known to be 0."""
        shape, statements = self.shape, list[Stmt]()
        columns: list[Local] = []
        for v in range(shape.vectors):
            columns.append(self._names.local("b", self.dtype, shape.lanes))
            statements.append(Declare(columns[v], right(v, at)))
        for i, row in enumerate(self.locals):
            if known(i):
                continue
            factor = self._names.local("a", self.dtype, shape.lanes)
            statements.append(Declare(factor, Broadcast(left(i, at), shape.lanes)))
            for v, local in enumerate(row):
                statements.append(Assign(local, multiply_add(factor, columns[v], local, fused)))
        return statements


def multiply_add(a: Expr, b: Expr, c: Expr, fused: bool) -> Expr:
    """a * b + c, with one rounding where `fused` (floats on targets that can)."""
    if fused and a.dtype.is_float:
        return Op("fma", (a, b, c), a.dtype)
    return Op("add", (Op("mul", (a, b), a.dtype), c), a.dtype)
