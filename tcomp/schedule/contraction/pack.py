"""Packing: one side of a contraction copied into the order in which tiles read it.

A packer evaluates the side's expression, whatever it is (strided or guarded reads, casts, elementwise
producers), and stores the values densely. Vectors run along the direction in which the source is
contiguous; where packed rows run the other way, blocks are transposed in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from tcomp.ir.dtypes import boolean
from tcomp.ir.integer import Int, IntLike
from tcomp.ir.loop.nodes import (
    Buffer,
    Const,
    Declare,
    Expr,
    For,
    If,
    LoopVar,
    Op,
    Shuffle,
    Stmt,
    Store,
)
from tcomp.schedule.contraction.dimensions import Dimension, flat
from tcomp.schedule.contraction.geometry import Operand
from tcomp.schedule.contraction.interior import interior
from tcomp.schedule.contraction.tile import leading
from tcomp.schedule.naming import Names
from tcomp.schedule.vectorize import vectorize

Point: TypeAlias = dict[LoopVar, Int]

_BUNDLE = 8  # inner positions that go through all panels together


@dataclass(frozen=True, slots=True)
class Block:
    """Positions `start` to `stop` of the product of `dimensions`, both multiples of all but the first's."""

    dimensions: tuple[Dimension, ...]
    start: Int
    stop: Int

    @staticmethod
    def of(dimensions: Sequence[Dimension], start: IntLike, stop: IntLike) -> Block:
        """The block between two positions."""
        return Block(tuple(dimensions), Int.of(start), Int.of(stop))

    def unit(self) -> int:
        """Positions in one step of the first dimension."""
        unit = 1
        for dimension in self.dimensions[1:]:
            unit *= dimension.extent
        return unit

    def ranges(self) -> list[tuple[Dimension, Int, Int]]:
        """Each dimension with the range of its counter, outermost first."""
        first, *rest = self.dimensions
        unit = self.unit()
        limits = [(first, self.start // unit, self.stop // unit)]
        return limits + [(d, Int.of(0), Int.of(d.extent)) for d in rest]

    def offset(self) -> Int:
        """Position in the block, over the dimensions' counters."""
        return flat(self.dimensions) - self.start


@dataclass(frozen=True, slots=True)
class Panel:
    """Packed panels: panel `counter` of start .. stop holds `width` own positions from `first`, padded to
    `size`; its rows are `size` apart, one for each inner position, from `base`."""

    counter: LoopVar
    start: Int
    stop: Int
    first: Int
    width: int
    size: int
    base: Int


@dataclass(frozen=True, slots=True)
class Packer:
    """Writes `value`, a scalar over the counters of inner and own dimensions, to `buffer`."""

    value: Expr
    buffer: Buffer
    inner: Block
    lanes: int
    names: Names

    def rows(self, own: Block, pitch: int) -> list[Stmt]:
        """buffer[own][inner], rows `pitch` apart; vectors along the last inner dimension."""
        address = own.offset() * pitch + self.inner.offset()
        *outer, last = self.inner.ranges()
        return self._nest(
            [*own.ranges(), *outer],
            lambda at: self._vectors(last, at, lambda p, w: self._put(p, last[0], w, address)),
        )

    def lines(self, own: Block, pitch: int, across: int | None = None) -> list[Stmt]:
        """buffer[inner][own], rows `pitch` apart; vectors along the last own dimension, or along that of number
        `across`, and transposed."""
        address = self.inner.offset() * pitch + own.offset()
        *outer, last = own.ranges()
        if across is not None:
            return self._crossed_lines(outer, last[0], across, own, address)
        return self._nest(
            [*self.inner.ranges(), *outer],
            lambda at: self._vectors(last, at, lambda p, w: self._put(p, last[0], w, address)),
        )

    def panels_of(
        self, operand: Operand, own: Dimension, panel: Panel, parallel: bool = False
    ) -> list[Stmt]:
        """Panels of an operand, by vectors along its own dimension or along an inner one, whichever is better."""
        if operand.runs_along_own():
            return self.panels(own, panel, parallel)
        return self.transposed_panels(own, panel, operand.along, parallel)

    def panels(self, own: Dimension, panel: Panel, parallel: bool = False) -> list[Stmt]:
        """Panels whose rows are vectors of the source along `own`.

        A few inner positions of all panels come before the next ones: memory is then read in long runs, which
        it is made for, and lines that two panels share are still near (1024 cubed, left by columns of 4096
        bytes, panel after panel: each line came from beyond L2 three times).
        """

        def body(at: Point) -> list[Stmt]:
            statements: list[Stmt] = []
            for offset in range(0, panel.width, self.lanes):
                place = at | {own.at: (panel.first + offset).sub(at)}
                address = panel.base + self.inner.offset() * panel.size + offset
                count = min(self.lanes, panel.width - offset)
                padded = offset + self.lanes <= panel.size
                statements.append(self._row(place, own, count, address.sub(at), padded))
            return statements

        *outer, (last, start, stop) = self.inner.ranges()
        first = self.names.loop(last.at.name, 0, last.extent - 1)

        def bundle(at: Point) -> list[Stmt]:
            end = (Int.of(first) + _BUNDLE).min(stop)
            inside = self._over_panels(
                panel, lambda place: self._nest([(last, Int.of(first), end)], body, at | place)
            )
            return [For(first, start, stop, tuple(inside), _BUNDLE)]

        return _shared_out(self._nest(outer, bundle), parallel)

    def transposed_panels(
        self, own: Dimension, panel: Panel, along: int, parallel: bool = False
    ) -> list[Stmt]:
        """Panels made from vectors along one inner dimension, transposed in registers."""
        outer = self.inner.ranges()
        last = outer.pop(along)
        pitch = panel.size * prod(d.extent for d in self.inner.dimensions[along + 1 :])

        def body(place: Point, depth: int) -> list[Stmt]:
            def square(offset: Int, count: int) -> list[Stmt]:
                address = panel.base + self.inner.offset() * panel.size + offset
                first = panel.first + offset
                return self._transposed(place, own, first, last[0], (count, depth), address, pitch)

            statements: list[Stmt] = []
            whole = panel.width // self.lanes * self.lanes
            if whole:
                var = self.names.loop("c", 0, whole - 1)
                inside = square(Int.of(var), self.lanes)
                statements.append(For(var, Int.of(0), Int.of(whole), tuple(inside), self.lanes))
            for offset in range(whole, panel.size, self.lanes):
                statements += square(Int.of(offset), max(0, panel.width - offset))
            return statements

        def blocks(at: Point) -> list[Stmt]:
            return self._nest(outer, lambda inner: self._vectors(last, inner, body), at)

        return _shared_out(self._over_panels(panel, blocks), parallel)

    def _crossed_lines(
        self,
        outer: list[tuple[Dimension, Int, Int]],
        last: Dimension,
        across: int,
        own: Block,
        address: Int,
    ) -> list[Stmt]:
        """Squares of the last own dimension and the one in which the source is contiguous."""
        vectors = outer.pop(across)
        pitch = prod(d.extent for d in own.dimensions[across + 1 :])

        def body(place: Point, depth: int) -> list[Stmt]:
            statements: list[Stmt] = []
            for first in range(0, last.extent, self.lanes):
                shape = (min(self.lanes, last.extent - first), depth)
                at = address.sub({last.at: Int.of(first)})
                statements += self._transposed(
                    place, last, Int.of(first), vectors[0], shape, at, pitch, padded=False
                )
            return statements

        return self._nest(
            [*self.inner.ranges(), *outer], lambda at: self._vectors(vectors, at, body)
        )

    # -- parts -------------------------------------------------------------------------------------

    def _put(self, place: Point, along: Dimension, width: int, address: Int) -> list[Stmt]:
        return [self._row(place, along, width, address.sub(place), padded=False)]

    def _row(self, place: Point, along: Dimension, width: int, address: Int, padded: bool) -> Stmt:
        """`width` values along a counter to consecutive elements, zeros behind them if `padded`."""
        if width == 1 and not padded:
            return Store(self.buffer, address, self.value.sub(place))
        mask = leading(width, self.lanes)

        def store(value: Expr) -> Stmt:
            vector = vectorize(value, along.at, self.lanes, mask).sub(place)
            return Store(self.buffer, address, vector, mask=None if padded else mask)

        inner = interior(self.value, along.at)
        if inner is None:
            return store(self.value)
        last = {along.at: Int.of(along.at) + (width - 1)}
        inside = Op("and", (inner.inside, inner.inside.sub(last)), boolean).sub(place)
        return If(inside, (store(inner.value),), (store(self.value),))

    def _transposed(
        self,
        place: Point,
        own: Dimension,
        first: Int,
        last: Dimension,
        shape: tuple[int, int],
        address: Int,
        pitch: int,
        padded: bool = True,
    ) -> list[Stmt]:
        """A block of `shape` = (own, inner) positions, stored as rows along own, `pitch` apart, with zeros behind
        them if `padded`."""
        count, depth = shape
        mask = leading(depth, self.lanes)
        along = vectorize(self.value, last.at, self.lanes, mask)
        zero = Const(0.0 if self.buffer.dtype.is_float else 0, self.buffer.dtype, self.lanes)
        rows = [
            along.sub(place | {own.at: (first + i).sub(place)}) if i < count else zero
            for i in range(self.lanes)
        ]
        statements: list[Stmt] = []
        distance = 1
        while distance < self.lanes:
            fresh: list[Expr] = []
            for i in range(self.lanes):
                low, high = rows[i & ~distance], rows[i | distance]
                local = self.names.local("t", self.buffer.dtype, self.lanes)
                value = (
                    low if low is high else Shuffle(low, high, exchange(i, distance, self.lanes))
                )
                statements.append(Declare(local, value))
                fresh.append(local)
            rows, distance = fresh, 2 * distance
        start, inside = address.sub(place), None if padded else leading(count, self.lanes)
        return statements + [
            Store(self.buffer, start + k * pitch, rows[k], mask=inside) for k in range(depth)
        ]

    # -- loops -------------------------------------------------------------------------------------

    def _over_panels(self, panel: Panel, body: Callable[[Point], list[Stmt]]) -> list[Stmt]:
        last = max(0, (panel.stop.bounds()[1] or 1) - 1)
        var = self.names.loop(panel.counter.name, 0, last)
        inner = body({panel.counter: Int.of(var)})
        return [For(var, panel.start, panel.stop, tuple(inner))]

    def _nest(
        self,
        ranges: Sequence[tuple[Dimension, Int, Int]],
        body: Callable[[Point], list[Stmt]],
        at: Point | None = None,
    ) -> list[Stmt]:
        """A loop for each range around `body`."""
        at = at or {}
        if not ranges:
            return body(at)
        (dimension, start, stop), *rest = ranges
        if dimension.extent == 1:
            return self._nest(rest, body, at | {dimension.at: Int.of(0)})
        var = self.names.loop(dimension.at.name, 0, dimension.extent - 1)
        inner = self._nest(rest, body, at | {dimension.at: Int.of(var)})
        return [For(var, start, stop, tuple(inner))]

    def _vectors(
        self,
        over: tuple[Dimension, Int, Int],
        at: Point,
        body: Callable[[Point, int], list[Stmt]],
    ) -> list[Stmt]:
        """Whole vectors of a range, then what is left where it reaches the dimension's end.

        A range that ends before is a multiple of the vector's length.
        """
        dimension, start, stop = over
        whole = dimension.extent // self.lanes * self.lanes
        rest = dimension.extent - whole
        statements: list[Stmt] = []
        if whole:
            var = self.names.loop(dimension.at.name, 0, whole - 1)
            inner = body(at | {dimension.at: Int.of(var)}, self.lanes)
            statements.append(For(var, start, stop.min(whole), tuple(inner), self.lanes))
        if rest:
            var = self.names.loop(dimension.at.name, whole, dimension.extent - 1)
            inner = body(at | {dimension.at: Int.of(whole)}, rest)
            statements.append(For(var, start.max(whole), stop, tuple(inner), self.lanes))
        return statements


def _shared_out(loops: list[Stmt], parallel: bool) -> list[Stmt]:
    """The outermost loops, by all threads if `parallel`."""
    if not parallel:
        return loops
    return [replace(s, parallel=True) if isinstance(s, For) else s for s in loops]


def exchange(row: int, distance: int, lanes: int) -> tuple[int, ...]:
    """One stage of a transposition: lanes of rows r and r + distance swapped crosswise in pairs."""
    if row & distance:
        return tuple(lane + lanes if lane & distance else lane + distance for lane in range(lanes))
    return tuple(lane + lanes - distance if lane & distance else lane for lane in range(lanes))
