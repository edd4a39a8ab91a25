"""The loops of a contraction with a window.

parallel: pack filters, panel by panel                          (form CHANNELS)
parallel task = (batch, stack, block of lines, block of channels):
  copy the places of the image that the task reads              (where there is a window)
  for panel of vectors: for line: for panel of rows: tile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import product
from math import ceil, prod
from typing import TypeAlias

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Buffer,
    Const,
    Declare,
    Expr,
    For,
    If,
    IntValue,
    Load,
    Op,
    Shuffle,
    Space,
    Stmt,
    Store,
    rewrite,
)
from tcomp.ir.tensor.nodes import Axis
from tcomp.schedule.contraction.dimensions import Dimension, flat
from tcomp.schedule.contraction.pack import Block, Packer, Panel, exchange
from tcomp.schedule.contraction.tasks import Panels, Place, RowPanels, column_panels
from tcomp.schedule.contraction.tile import Accumulators, TileShape, leading
from tcomp.schedule.contraction.window.coordinates import Reach, copy_of, counter_points
from tcomp.schedule.contraction.window.decisions import CHANNELS, WindowBlocking, sides
from tcomp.schedule.contraction.window.frame import Frame
from tcomp.schedule.vectorize import vectorize

_PHASES = 16  # values of a batch that are told apart

Pixel: TypeAlias = Callable[[Place, int, Expr | None], Expr]  # where, lanes, which of them matter


def _is_outside(index: Int, axis: Axis) -> bool:
    """Whether an index is certainly not on its axis."""
    (low, high), (first, stop) = index.bounds(), (end.constant for end in axis)
    return (high is not None and high < first) or (low is not None and low >= stop)


class WindowNest:
    """Makes the statements; `once` packs what a call of bound filters does not have to."""

    def __init__(self, frame: Frame, blocking: WindowBlocking) -> None:
        self.f, self.b = frame, blocking
        self.names = frame.scope.names
        self.by_channels = blocking.form == CHANNELS
        rows, _ = sides(frame, blocking.form)
        self.rows = frame.run if self.by_channels else frame.channels
        self.columns = frame.channels if self.by_channels else frame.run
        self.panels = RowPanels.of(rows, blocking.tile_rows)
        self.width = blocking.tile_vectors * blocking.lanes
        self.stored = frame.channels if frame.has_contiguous_channels() else frame.run
        self.epilogue, self.sums = frame.epilogue(self.stored)
        self.filter = frame.filter()
        self.packed = self._panels_of_filters() if self.by_channels else None

    def statements(self) -> tuple[Stmt, ...]:
        """The whole contraction."""
        return (*self.once(), *self.each_call())

    # -- filters -----------------------------------------------------------------------------------

    def _panels_of_filters(self) -> Buffer:
        f = self.f
        extent = f.batch.extent * ceil(f.channels.extent / self.width) * f.depth * self.width
        return Buffer(self.names.fresh("filters"), f.dtype, extent, Space.WORKSPACE)

    def _panel(self, batch: Int, panel: Int) -> Int:
        count = ceil(self.f.channels.extent / self.width)
        return (batch * count + panel) * (self.f.depth * self.width)

    def once(self) -> list[Stmt]:
        """Packs the filters into panels of vectors."""
        if self.packed is None:
            return []
        f, operand = self.f, self.f.filters
        batch = self.names.loop("batch", 0, f.batch.extent - 1)
        block = Block.of(operand.inner, 0, f.depth)
        value = operand.value.sub({f.batch.at: Int.of(batch)})
        packer = Packer(value, self.packed, block, self.b.lanes, self.names)
        channels, body = f.channels.extent, list[Stmt]()
        together = bool(self.b.parallel)
        for p in column_panels(
            Int.of(0), Int.of(channels), channels + -channels % self.width, channels, self.width, self.names
        ):  # fmt: skip
            base = self._panel(Int.of(batch), Int.of(p.counter))
            panel = Panel(p.counter, p.start, p.stop, p.first, p.width, self.width, base)
            body += packer.panels_of(operand, f.channels, panel, together and f.batch.extent == 1)
        parallel = together and f.batch.extent > 1
        return [For(batch, Int.of(0), Int.of(f.batch.extent), tuple(body), 1, parallel)]

    # -- tasks -------------------------------------------------------------------------------------

    def each_call(self) -> list[Stmt]:
        """The tasks, with the filters packed."""
        f, b = self.f, self.b
        shares = (f.channels.extent if self.by_channels else self.panels.count, b.task_channels)
        box = [
            f.batch.extent,
            f.stack.extent,
            ceil(f.line.extent / b.lines),
            ceil(shares[0] / shares[1]),
        ]
        var = self.names.loop("task", 0, prod(box) - 1)
        at: list[Int] = []
        rest = Int.of(var)
        for extent in reversed(box):
            at.insert(0, rest % extent)
            rest = rest // extent
        body = self._task(*at)
        parallel = bool(b.parallel) and prod(box) > 1
        return [For(var, Int.of(0), Int.of(prod(box)), tuple(body), 1, parallel)]

    def _task(self, batch: Int, stack: Int, block: Int, share: Int) -> list[Stmt]:
        f, b = self.f, self.b
        first = block * b.lines
        count = (f.line.extent - first).min(b.lines)
        place: Place = {f.batch.at: batch, f.stack.at: stack}
        statements: list[Stmt] = []
        line = self.names.loop("line", 0, b.lines - 1)
        place[f.line.at] = first + Int.of(line)
        pixel, fill = self._image(place, first, count)
        statements += fill
        for columns in self._column_panels(share):
            tiles: list[Stmt] = []
            for rows in self._row_panels(share):
                body = self._tile(rows, columns, place, pixel)
                tiles.append(For(rows.counter, rows.start, rows.stop, tuple(body)))
            lines = For(line, Int.of(0), count, tuple(tiles))
            statements.append(For(columns.counter, columns.start, columns.stop, (lines,)))
        return statements

    def _image(self, place: Place, first: Int, count: Int) -> tuple[Pixel, list[Stmt]]:
        """A vector of the image (or an element, of length 1) at a place, and what is done before."""
        f = self.f
        if f.window is None:
            value = f.pixel()

            def direct(at: Place, lanes: int, mask: Expr | None) -> Expr:
                wide = vectorize(value, f.run.at, lanes, mask) if lanes > 1 else value
                return wide.sub(at)

            return direct, []
        point = counter_points([f.batch, f.stack])
        fixed = {it: p.sub(place) for it, p in point.items()}
        (line,) = f.line.iters or (None,)
        first = first if line is None else first + line.lo
        moving = tuple(it for d in (f.run, *f.inner) for it in d.iters)
        reach = Reach(fixed, line, first, self.b.lines, count, moving)
        run = None if self.by_channels else f.run.iters[0]
        copy = copy_of(f.window, reach, run, f.scope, f.lanes)
        buffer = Buffer(self.names.fresh("places"), f.dtype, copy.extent, Space.PRIVATE)
        every = counter_points([f.batch, f.stack, f.line, f.run, *f.inner])

        def copied(at: Place, lanes: int, mask: Expr | None) -> Expr:
            here = {it: p.sub(at) for it, p in every.items()}
            return Load(buffer, copy.address(here), lanes)

        return copied, copy.fill(buffer)

    def _column_panels(self, share: Int) -> list[Panels]:
        columns = self.columns.extent
        if not self.by_channels:
            whole = columns + -columns % self.width
            return column_panels(Int.of(0), Int.of(columns), whole, columns, self.width, self.names)
        first = share * self.b.task_channels
        stop = (first + self.b.task_channels).min(columns)
        return column_panels(first, stop, self.b.task_channels, columns, self.width, self.names)

    def _row_panels(self, share: Int) -> list[Panels]:
        if self.by_channels:
            return self.panels.within(Int.of(0), Int.of(self.panels.count), self.names)
        first = share * self.b.task_channels
        stop = (first + self.b.task_channels).min(self.panels.count)
        return self.panels.within(first, stop, self.names)

    # -- tiles -------------------------------------------------------------------------------------

    def _tile(self, rows: Panels, columns: Panels, place: Place, pixel: Pixel) -> list[Stmt]:
        shape = TileShape.of(rows.width, columns.width, self.b.lanes)
        sums = Accumulators(shape, self.f.dtype, self.names)

        def row(i: int, at: Place) -> Expr:
            here = place | at | {self.rows.at: rows.first + i}
            return pixel(here, 1, None) if self.by_channels else self.filter.sub(here)

        def vector(v: int, at: Place) -> Expr:
            column = columns.first + v * self.b.lanes
            if not self.by_channels:
                here = place | at | {self.columns.at: column}
                return pixel(here, self.b.lanes, shape.mask(v))
            assert self.packed is not None
            depth = flat(self.f.inner).sub(at)
            base = self._panel(place[self.f.batch.at], columns.first // self.width)
            return Load(self.packed, base + depth * self.width + v * self.b.lanes, self.b.lanes)

        def terms(batch: int | None) -> list[Stmt]:
            known = {} if batch is None else {self.f.batch.at: Int.of(batch)}

            def body(at: Place) -> list[Stmt]:
                def outside(i: int) -> bool:
                    here = at | known | {self.rows.at: rows.first + i}
                    return any(_is_outside(index.sub(here), axis) for index, axis in guarded)

                return sums.add_product(row, vector, at, self.f.scope.target.has_fma, outside)

            return self._terms(list(self.f.inner), place, {}, body)

        guarded = self.f.guarded_axes() if self.by_channels else []
        statements = sums.zero() + self._by_batch(place[self.f.batch.at], guarded, terms)
        if self.stored is self.columns:
            return statements + self._stored(sums, shape, rows, columns, place)
        return statements + self._turned(sums, shape, rows, columns, place)

    def _by_batch(
        self, batch: Int, guarded: Sequence[tuple[Int, Axis]], terms: Callable[[int | None], list[Stmt]]
    ) -> list[Stmt]:  # fmt: skip
        """The terms; once for each set of taps that are outside the image, where that depends on the batch, as it
        does on the phase of a transposed convolution."""
        extent, at = self.f.batch.extent, self.f.batch.at
        written = self.f.inner[len(self.f.inner) - self.b.unrolled :]
        moving = [self.rows, *written] if self.panels.count == 1 else written
        moves = {at, *(d.at for d in moving)}
        ends = [(i, a) for i, a in guarded if at in i.leaves() and i.leaves() <= moves]
        if not 1 < extent <= _PHASES or not ends:
            return terms(None)
        points = [
            {d.at: Int.of(k) for d, k in zip(moving, ks, strict=True)}
            for ks in product(*(range(d.extent) for d in moving))
        ]
        groups: dict[tuple[bool, ...], list[int]] = {}
        for n in range(extent):
            here = [point | {at: Int.of(n)} for point in points]
            flags = tuple(_is_outside(i.sub(p), axis) for p in here for i, axis in ends)
            groups.setdefault(flags, []).append(n)
        (first, *rest), found = groups.values(), list[Stmt]()
        found = terms(first[0])
        for numbers in rest:
            tests: list[Expr] = [
                Op("eq", (IntValue(batch, i64), Const(n, i64)), boolean) for n in numbers
            ]
            test = reduce(lambda a, b: Op("or", (a, b), boolean), tests)
            found = [If(test, tuple(terms(numbers[0])), tuple(found))]
        return found

    def _terms(
        self,
        inner: list[Dimension],
        place: Place,
        at: Place,
        body: Callable[[Place], list[Stmt]],
    ) -> list[Stmt]:
        """Loops over terms around `body`, the innermost ones written out; taps that all lie outside the image
        for a line are left out."""
        if not inner:
            return body(at)
        dimension, *rest = inner
        extent = dimension.extent
        if len(inner) <= self.b.unrolled or extent == 1:
            return [
                stmt
                for k in range(extent)
                for stmt in self._terms(rest, place, at | {dimension.at: Int.of(k)}, body)
            ]
        inside = self.f.inside(dimension)
        if inside is not None:
            low, high = (bound.sub(place) for bound in inside)
            var = self.names.loop("k", 0, extent - 1)
            tap = self._terms(rest, place, at | {dimension.at: Int.of(var)}, body)
            return [For(var, low, high, tuple(tap))]
        unroll = self.b.unroll if len(inner) == self.b.unrolled + 1 else 1
        main = extent // unroll * unroll
        statements: list[Stmt] = []
        if main:
            var = self.names.loop("k", 0, main - unroll)
            text: list[Stmt] = []
            for u in range(unroll):
                text += self._terms(rest, place, at | {dimension.at: Int.of(var) + u}, body)
            statements.append(For(var, Int.of(0), Int.of(main), tuple(text), unroll))
        for k in range(main, extent):
            statements += self._terms(rest, place, at | {dimension.at: Int.of(k)}, body)
        return statements

    def _finished(self, place: Place, along: Dimension, width: int, sums: Expr) -> Stmt:
        """Applies the epilogue to a vector of sums and stores it."""
        mask = leading(width, self.b.lanes)
        value = vectorize(self.epilogue, along.at, self.b.lanes, mask).sub(place)
        buffer = self.sums.buffer

        def rule(node: Expr) -> Expr | None:
            return sums if isinstance(node, Load) and node.buffer is buffer else None

        address = self.f.address.sub(place)
        return Store(
            self.f.output.buffer, address, rewrite(value, rule), self.f.step(along) or 1, mask
        )

    def _stored(
        self, sums: Accumulators, shape: TileShape, rows: Panels, columns: Panels, place: Place
    ) -> list[Stmt]:
        """Vectors lie in the output as in the tile."""
        return [
            self._finished(
                place | {self.rows.at: rows.first + i, self.columns.at: columns.first + v * self.b.lanes},
                self.columns, shape.widths[v], sums.locals[i][v],
            )
            for i in range(shape.rows)
            for v in range(shape.vectors)
        ]  # fmt: skip

    def _turned(
        self, sums: Accumulators, shape: TileShape, rows: Panels, columns: Panels, place: Place
    ) -> list[Stmt]:
        """Squares of the tile are turned, so that vectors lie along its rows."""
        lanes, statements = self.b.lanes, list[Stmt]()
        for v in range(shape.vectors):
            for first in range(0, shape.rows, lanes):
                count = min(lanes, shape.rows - first)
                square: list[Expr] = [sums.locals[first + i % count][v] for i in range(lanes)]
                turned = self._turn(square, statements)
                for lane in range(shape.widths[v]):
                    here = place | {
                        self.rows.at: rows.first + first,
                        self.columns.at: columns.first + v * lanes + lane,
                    }
                    statements.append(self._finished(here, self.rows, count, turned[lane]))
        return statements

    def _turn(self, rows: list[Expr], statements: list[Stmt]) -> list[Expr]:
        distance, lanes = 1, self.b.lanes
        while distance < lanes:
            fresh: list[Expr] = []
            for i in range(lanes):
                low, high = rows[i & ~distance], rows[i | distance]
                local = self.names.local("t", self.f.dtype, lanes)
                statements.append(Declare(local, Shuffle(low, high, exchange(i, distance, lanes))))
                fresh.append(local)
            rows, distance = fresh, 2 * distance
        return rows
