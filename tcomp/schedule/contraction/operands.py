"""How tiles get at an operand: as it lies in memory, or from a packed copy that a task or the call makes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Protocol

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Buffer, Expr, For, Load, Op, Prefetch, Space, Stmt
from tcomp.schedule.contraction.blocking import DIRECT, SHARED, Blocking
from tcomp.schedule.contraction.dimensions import Dimension, flat
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.pack import Block, Packer, Panel
from tcomp.schedule.contraction.spread import SpreadBlocks
from tcomp.schedule.contraction.tasks import Place, RowPanels, Task, Tile, column_panels
from tcomp.schedule.contraction.tile import Position, TileShape
from tcomp.schedule.storage import line_pitch
from tcomp.schedule.vectorize import vectorize

_LINE = 64  # bytes of a cache line
_FEW_ROWS = 64  # up to which it is dearer to read wide elements of right than to widen narrow ones


class Left(Protocol):
    """The side whose elements are broadcast."""

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        """What a task does before it can read inner positions start .. stop."""
        ...

    def element(self, tile: Tile, row: int, inner: Position) -> Expr:
        """The scalar at a row of a tile."""
        ...


class Prepared(Protocol):
    """A side that is brought into shape before tiles read it."""

    def share(self, place: Place) -> list[Stmt]:
        """What is done once, before all tasks."""
        ...

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        """What a task does before it can read inner positions start .. stop."""
        ...


class Right(Prepared, Protocol):
    """The side that is read as vectors."""

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        """A vector of a tile's columns."""
        ...

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        """Asks for what tiles need later, at each group of `unroll` positions from `inner` on."""
        ...

    def begin(self, tile: Tile) -> list[Stmt]:
        """Asks for what later tasks need, at the beginning of a tile."""
        ...


def left_operand(g: Geometry, b: Blocking, panels: RowPanels, inner: list[Dimension]) -> Left:
    """The left side as the blocking wants it."""
    if b.left == DIRECT:
        return DirectLeft(g, g.factor(g.contraction.left, g.rows, inner))
    if g.left.runs_along_own():
        extent = b.task_panels * panels.tallest * b.depth
        buffer = _private(g, "left", extent)
        return PanelLeft(g, b, panels, inner, buffer)
    pitch = line_pitch(b.depth, g.left.value.dtype.bytes)
    rows = b.task_panels * panels.tallest
    return RowLeft(g, b, panels, inner, _private(g, "left", rows * pitch), pitch)


def right_operand(g: Geometry, b: Blocking, inner: list[Dimension]) -> Right:
    """The right side as the blocking wants it."""
    if b.right == DIRECT:
        return DirectRight(g, b, g.factor(g.contraction.right, g.columns, inner))
    width = b.tile_vectors * b.lanes
    if b.right == SHARED:
        panels = ceil(g.columns.extent / width)
        extent = g.spread.extent * panels * g.inner * width
        name = g.scope.names.fresh("right")
        value = _narrow(g.right.value) if g.rows.extent <= _FEW_ROWS else g.right.value
        buffer = Buffer(name, value.dtype, extent, Space.WORKSPACE)
        return SharedRight(g, b, inner, value, buffer, width)
    if not g.right.by_lines:
        extent = ceil(b.task_columns / width) * width * b.depth * b.task_spread
        return PanelRight(g, b, inner, _private(g, "right", extent), width)
    pitch = line_pitch(b.task_columns * b.task_spread + b.lanes, g.right.value.dtype.bytes)
    return LineRight(g, b, inner, _private(g, "right", b.depth * pitch), pitch, width)


def _narrow(value: Expr) -> Expr:
    """The value before it is widened to the type of the products."""
    match value:
        case Op("cast", (inner,), dtype) if inner.dtype.bits < dtype.bits:
            return inner
    return value


def _private(g: Geometry, stem: str, extent: int) -> Buffer:
    side = g.left if stem == "left" else g.right
    return Buffer(g.scope.names.fresh(stem), side.value.dtype, extent, Space.PRIVATE)


# -- left --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DirectLeft:
    """Elements where they lie."""

    g: Geometry
    value: Expr

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        return []

    def element(self, tile: Tile, row: int, inner: Position) -> Expr:
        return self.value.sub(tile.task.place | inner | {self.g.rows.at: tile.row + row})


@dataclass(frozen=True, slots=True)
class RowLeft:
    """A task's rows, copied; each is contiguous along inner."""

    g: Geometry
    b: Blocking
    panels: RowPanels
    inner: list[Dimension]
    buffer: Buffer
    pitch: int

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        g, left = self.g, self.g.left
        rows = Block.of(
            [g.rows],
            self.panels.first_row(task.first_panel),
            self.panels.first_row(task.stop_panel),
        )
        value = left.value.sub(task.place)
        block = Block.of(left.inner, start, stop)
        return Packer(value, self.buffer, block, g.lanes, g.scope.names).rows(rows, self.pitch)

    def element(self, tile: Tile, row: int, inner: Position) -> Expr:
        line = tile.row + row - self.panels.first_row(tile.task.first_panel)
        depth = flat(self.inner).sub(inner) - tile.start
        return Load(self.buffer, line * self.pitch + depth)


@dataclass(frozen=True, slots=True)
class PanelLeft:
    """A task's rows in panels, contiguous along rows: for sources that are contiguous so."""

    g: Geometry
    b: Blocking
    panels: RowPanels
    inner: list[Dimension]
    buffer: Buffer

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        g, left = self.g, self.g.left
        block = Block.of(left.inner, start, stop)
        packer = Packer(left.value.sub(task.place), self.buffer, block, g.lanes, g.scope.names)
        statements: list[Stmt] = []
        for p in self.panels.within(task.first_panel, task.stop_panel, g.scope.names):
            base = (Int.of(p.counter) - task.first_panel) * self._panel()
            panel = Panel(p.counter, p.start, p.stop, p.first, p.width, self.panels.tallest, base)
            statements += packer.panels(g.rows, panel)
        return statements

    def element(self, tile: Tile, row: int, inner: Position) -> Expr:
        depth = flat(self.inner).sub(inner) - tile.start
        return Load(self.buffer, tile.row_panel * self._panel() + depth * self.panels.tallest + row)

    def _panel(self) -> int:
        return self.panels.tallest * self.b.depth


# -- right -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DirectRight:
    """Vectors where they lie."""

    g: Geometry
    b: Blocking
    value: Expr

    def share(self, place: Place) -> list[Stmt]:
        return []

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        return []

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        g = self.g
        column = tile.column + vector * self.b.lanes
        wide = vectorize(self.value, g.columns.at, self.b.lanes, shape.mask(vector))
        return wide.sub(tile.task.place | inner | {g.columns.at: column})

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        """The vectors of the positions `prefetch` later: rows far apart are no stream to the processor."""
        g, value = self.g, self.value
        if not self.b.prefetch or not isinstance(value, Load):
            return []
        (counter,) = inner
        places = [
            tile.task.place
            | {counter: inner[counter] + (self.b.prefetch + u)}
            | {g.columns.at: tile.column + vector * self.b.lanes}
            for u in range(unroll)
            for vector in range(shape.vectors)
        ]
        return [Prefetch(value.buffer, value.index.sub(place), 1) for place in places]

    def begin(self, tile: Tile) -> list[Stmt]:
        return []


@dataclass(frozen=True, slots=True)
class PanelRight:
    """A task's columns in panels, each with the rows that tiles read one after the other."""

    g: Geometry
    b: Blocking
    inner: list[Dimension]
    buffer: Buffer
    width: int

    def share(self, place: Place) -> list[Stmt]:
        return []

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        g, b, first = self.g, self.b, task.first_column
        size, value = self.width * b.depth * b.task_spread, g.right.value
        block = Block.of(g.right.inner, start, stop)
        if b.task_spread > 1:
            blocks = SpreadBlocks.of(g, b.task_spread)
            value, at = blocks.along_last(value, task)
            dimensions = (blocks.last, *g.right.inner)
            block = Block.of(dimensions, at * g.inner, (at + task.spreads) * g.inner)
        packer = Packer(value.sub(task.place), self.buffer, block, b.lanes, g.scope.names)
        statements: list[Stmt] = []
        for p in column_panels(
            first, task.stop_column, b.task_columns, g.columns.extent, self.width, g.scope.names
        ):
            base = (p.first - first) // self.width * size
            panel = Panel(p.counter, p.start, p.stop, p.first, p.width, self.width, base)
            if b.task_spread > 1:
                statements += packer.transposed_panels(g.columns, panel, 0)
            else:
                statements += packer.panels_of(g.right, g.columns, panel)
        return statements

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        depth = flat(self.inner).sub(inner) - tile.start
        panel = tile.column_panel * self.b.task_spread + tile.spread
        address = panel * (self.width * self.b.depth) + depth * self.width + vector * self.b.lanes
        return Load(self.buffer, address, self.b.lanes)

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        return []

    def begin(self, tile: Tile) -> list[Stmt]:
        """Lines of the next task's source, into L2: the tiles of all row panels ask for a share each of what
        their panel of columns comes from. They are fetched while this task's products keep the processor busy,
        and packed without waiting (abcd-ebad-ce 1.21 ms, so 0.99)."""
        g, after, value = self.g, tile.task.after, self.g.right.value
        if not self.b.prefetch or after is None or not isinstance(value, Load):
            return []
        along, around = g.columns, list(g.right.inner)
        width = min(self.width, along.extent)
        own = g.right.runs_along_own()
        if not own:
            along = around.pop(g.right.along)
        runs = prod(d.extent for d in around) * (1 if own else width)
        share = ceil(runs / self.b.task_panels)
        var = g.scope.names.loop("ask", 0, share - 1)
        run = (tile.row_panel * share + Int.of(var)).min(runs - 1)
        place = after.place | {g.columns.at: after.first_column + tile.column_panel * self.width}
        if not own:
            place |= {g.columns.at: place[g.columns.at] + run % width, along.at: Int.of(0)}
            run = run // width
        for dimension in reversed(around):
            place[dimension.at], run = run % dimension.extent, run // dimension.extent
        length = width if own else along.extent
        lines = range(0, length, _LINE // value.dtype.bytes)
        ask = [
            Prefetch(value.buffer, value.index.sub(place | {along.at: place[along.at] + n}), 2)
            for n in lines
        ]
        return [For(var, Int.of(0), Int.of(share), tuple(ask))]


@dataclass(frozen=True, slots=True)
class SharedRight:
    """All columns in panels, over all of inner, packed once by all threads together: as `value`, which tiles
    widen where it is of a narrower type than the products."""

    g: Geometry
    b: Blocking
    inner: list[Dimension]
    value: Expr
    buffer: Buffer
    width: int

    def share(self, place: Place) -> list[Stmt]:
        g, names = self.g, self.g.scope.names
        spread = names.loop("spread", 0, g.spread.extent - 1)
        at = place | {g.spread.at: Int.of(spread)}
        block = Block.of(g.right.inner, 0, g.inner)
        columns = g.columns.extent
        statements: list[Stmt] = []
        for p in column_panels(
            Int.of(0), Int.of(columns), columns + -columns % self.width, columns, self.width, names
        ):
            base = self._base(Int.of(spread), Int.of(p.counter))
            panel = Panel(p.counter, p.start, p.stop, p.first, p.width, self.width, base)
            statements += pack_panels(
                g, self.b, self.value, self.buffer, block, at, panel, bool(self.b.parallel)
            )
        return [For(spread, Int.of(0), Int.of(g.spread.extent), tuple(statements))]

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        return []

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        panel = tile.column // self.width
        base = self._base(tile.task.place[self.g.spread.at], panel)
        address = base + flat(self.inner).sub(inner) * self.width + vector * self.b.lanes
        found = Load(self.buffer, address, self.b.lanes)
        whole = self.g.right.value.dtype
        return found if found.dtype is whole else Op("cast", (found,), whole)

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        """Lines of the next panel, into L2: the tiles of all row panels ask for a share each. Or those that
        are read so many lines later, where right is one stream."""
        if not self.b.prefetch:
            return []
        line = _LINE // self.buffer.dtype.bytes
        if self.b.prefetch > 1:
            spread = tile.task.place[self.g.spread.at]
            depth = flat(self.inner).sub(inner) * self.width
            start = self._base(spread, tile.column // self.width) + depth
            first = start + self.b.prefetch * line
            size = unroll * self.width
            return [Prefetch(self.buffer, first + n, 1) for n in range(0, size, line)]
        lines = ceil(unroll * self.width / line / self.b.task_panels)
        panel = tile.column // self.width + 1
        depth = flat(self.inner).sub(inner) - tile.start
        group = (tile.row_panel * self.b.depth + depth) // unroll
        start = self._base(tile.task.place[self.g.spread.at], panel) + tile.start * self.width
        return [Prefetch(self.buffer, start + (group * lines + n) * line, 2) for n in range(lines)]

    def begin(self, tile: Tile) -> list[Stmt]:
        return []

    def _base(self, spread: Int, panel: Int) -> Int:
        panels = ceil(self.g.columns.extent / self.width)
        return (spread * panels + panel) * (self.g.inner * self.width)


@dataclass(frozen=True, slots=True)
class LineRight:
    """A task's columns as one line for each inner position: for sources that are contiguous only along
    part of the columns (rows of pixels of a padded image)."""

    g: Geometry
    b: Blocking
    inner: list[Dimension]
    buffer: Buffer
    pitch: int
    width: int

    def share(self, place: Place) -> list[Stmt]:
        return []

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        right, b = self.g.right, self.b
        columns, value, across = self.g.columns.extent, right.by_run, right.across
        own = Block.of(right.runs, task.first_column, task.stop_column)
        if b.task_spread > 1:
            blocks = SpreadBlocks.of(self.g, b.task_spread)
            value, at = blocks.along_last(value, task)
            own = Block.of((blocks.last, *right.runs), at * columns, (at + task.spreads) * columns)
        if across is not None:
            whole = across != 0 or b.task_columns == columns
            across = across + (b.task_spread > 1) if whole else None
        block = Block.of(right.inner, start, stop)
        packer = Packer(value.sub(task.place), self.buffer, block, b.lanes, self.g.scope.names)
        return packer.lines(own, self.pitch, across)

    def vector(self, tile: Tile, vector: int, shape: TileShape, inner: Position) -> Expr:
        line = flat(self.inner).sub(inner) - tile.start
        column = tile.column_panel * self.width + tile.spread * self.b.task_columns
        return Load(self.buffer, line * self.pitch + column + vector * self.b.lanes, self.b.lanes)

    def ahead(self, tile: Tile, shape: TileShape, inner: Position, unroll: int) -> list[Stmt]:
        return []

    def begin(self, tile: Tile) -> list[Stmt]:
        return []


def pack_panels(
    g: Geometry,
    b: Blocking,
    value: Expr,
    buffer: Buffer,
    block: Block,
    place: Place,
    panel: Panel,
    parallel: bool = False,
) -> list[Stmt]:
    """Panels of right, by vectors along columns or along inner, whichever is contiguous."""
    packer = Packer(value.sub(place), buffer, block, b.lanes, g.scope.names)
    return packer.panels_of(g.right, g.columns, panel, parallel)
