"""A side of a contraction as a function of the places it reads, and a copy of it by place.

    I[n, c, y*2 + r - 1, x*2 + s - 1] else 0      at (n, c, u, v) with u = y*2 + r - 1, v = x*2 + s - 1

Many points of the iterators read one place: every pixel of an image meets every tap of a filter. A copy by
place is a little larger than what it copies (it has the border that guards stand for), is made once for all
taps, and is affine along every iterator, so that tiles read it without tests. It takes the place of the
matrix of patches (im2col), which has each pixel as often as there are taps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, gcd, prod

from tcomp.ir.dtypes import boolean
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Buffer, Expr, For, If, LoopVar, Op, Stmt, Store
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.contraction.dimensions import Dimension, Scope
from tcomp.schedule.contraction.interior import interior
from tcomp.schedule.contraction.tile import leading
from tcomp.schedule.translate import Site, translate
from tcomp.schedule.vectorize import vectorize


@dataclass(frozen=True, slots=True)
class Coordinate:
    """An index of the side's reads, over the contraction's iterators; `at` stands for it in the value."""

    index: Int
    at: Iter

    def step(self, it: Iter) -> int:
        """How far it moves with an iterator."""
        return self.index.coefficient(it) or 0

    @property
    def overlaps(self) -> bool:
        """Whether several points of the iterators may have one place: y + r, but not 16*group + channel."""
        reached = 0
        moves = [(abs(self.step(it)), it) for it in self.index.leaves() if isinstance(it, Iter)]
        for step, it in sorted(moves, key=lambda m: (m[0], m[1].key)):
            if step <= reached and int(it.extent) > 1:
                return True
            reached += step * (int(it.extent) - 1)
        return False


@dataclass(frozen=True, slots=True)
class Window:
    """`value` is the side's expression over its coordinates, the last one contiguous in what is read."""

    value: t.Expr
    coordinates: tuple[Coordinate, ...]

    @property
    def overlaps(self) -> bool:
        """Whether several points read one place, so that a copy by place is made for all of them."""
        return any(c.overlaps for c in self.coordinates)


def window_of(expr: t.Expr, iters: Iterable[Iter]) -> Window | None:
    """The side as a function of its coordinates; None where it depends on iterators in another way."""
    moving = frozenset(iters)
    found: dict[Int, Iter] = {}
    for node in t.postorder(expr):
        match node:
            case t.Reduce():
                return None
            case t.IndexValue(index, _) if index.leaves() & moving:
                return None
            case t.Read(_, indices, _):
                for index in indices:
                    if index.is_constant or index in found:
                        continue
                    if not _is_affine(index, moving):
                        return None
                    low, high = index.bounds()
                    if low is None or high is None:
                        return None
                    found[index] = Iter(f"u{len(found)}", Int.of(low), Int.of(high + 1))

    def rule(node: t.Expr) -> t.Expr | None:
        if not isinstance(node, t.Read):
            return None
        places = tuple(Int.of(found[i]) if i in found else i for i in node.index)
        return t.Read(node.tensor, places, node.otherwise)

    coordinates = tuple(Coordinate(index, at) for index, at in found.items())
    return Window(t.rewrite(expr, rule), coordinates) if coordinates else None


def _is_affine(index: Int, moving: frozenset[Iter]) -> bool:
    return all(
        isinstance(leaf, Iter) and leaf in moving and index.coefficient(leaf) is not None
        for leaf in index.leaves()
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One coordinate in a copy: `extent` places from `first`, `unit` apart. Where `phases` > 1, places are
    dealt out to that many rows, so that a stride of as much is contiguous."""

    coordinate: Coordinate
    first: Int
    unit: int
    extent: int
    stop: Int  # how many of them this task needs
    phases: int = 1

    @property
    def row(self) -> int:
        """Places of one phase."""
        return ceil(self.extent / self.phases)

    @property
    def size(self) -> int:
        """Elements in memory."""
        return self.row * self.phases


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the places that a task reads, in `buffer`, C-ordered by its parts."""

    window: Window
    parts: tuple[Part, ...]
    scope: Scope
    lanes: int

    @property
    def extent(self) -> int:
        """Elements, with room for a last vector to reach over the end."""
        return prod(p.size for p in self.parts) + self.lanes

    def address(self, point: Mapping[Iter, Int]) -> Int:
        """Where the element for a point of the iterators is."""
        total = Int.of(0)
        for part in self.parts:
            place = (part.coordinate.index.sub(point) - part.first) // part.unit
            if part.phases > 1:
                place = place % part.phases * part.row + place // part.phases
            total = total * part.size + place
        return total

    def fill(self, buffer: Buffer) -> list[Stmt]:
        """Evaluates the side at every place."""
        *outer, last = self.parts
        names, counters = self.scope.names, list[LoopVar]()
        at: dict[Iter, Int] = {}
        base = Int.of(0)
        for part in outer:
            counters.append(names.loop(part.coordinate.at.name, 0, part.extent - 1))
            place = Int.of(counters[-1])
            at[part.coordinate.at] = part.first + place * part.unit
            base = base * part.size + place
        body: list[Stmt] = []
        for phase in range(last.phases):
            count = ceil((last.extent - phase) / last.phases)
            address = base * last.size + phase * last.row
            start = last.first + phase * last.unit
            body += self._row(
                buffer, at, last.coordinate.at, start, last.unit * last.phases, count, address
            )
        for part, counter in zip(reversed(outer), reversed(counters), strict=True):
            body = [For(counter, Int.of(0), part.stop, tuple(body))]
        return body

    def _row(
        self, buffer: Buffer, at: Mapping[Iter, Int], along: Iter, start: Int, unit: int, count: int,
        address: Int,
    ) -> list[Stmt]:  # fmt: skip
        """`count` places along the last coordinate, in vectors; the last one also writes zeros behind."""
        lane = self.scope.names.loop(along.name, 0, max(count - 1, 0))
        site = Site(self.scope.storage, self.scope.faults)
        value = translate(self.window.value, {**at, along: start + Int.of(lane) * unit}, site)
        statements: list[Stmt] = []
        for first in range(0, count, self.lanes):
            width = min(self.lanes, count - first)
            place = {lane: Int.of(first)}
            statements.append(self._vector(buffer, value, lane, place, width, address + first))
        return statements

    def _vector(
        self, buffer: Buffer, value: Expr, lane: LoopVar, place: dict[LoopVar, Int], width: int, address: Int
    ) -> Stmt:  # fmt: skip
        mask = leading(width, self.lanes)

        def store(of: Expr) -> Stmt:
            return Store(buffer, address, vectorize(of, lane, self.lanes, mask).sub(place))

        inner = interior(value, lane)
        if inner is None:
            return store(value)
        last = {lane: place[lane] + (width - 1)}
        inside = Op("and", (inner.inside.sub(place), inner.inside.sub(last)), boolean)
        return If(inside, (store(inner.value),), (store(value),))


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the iterators one task covers: `lines` positions of `line` from `first` (the last task maybe
    fewer: `count`), all of `moving`; every other iterator stands still at `fixed`."""

    fixed: Mapping[Iter, Int]
    line: Iter | None
    first: Int
    lines: int
    count: Int
    moving: tuple[Iter, ...]


def copy_of(window: Window, reach: Reach, run: Iter | None, scope: Scope, lanes: int) -> Copy:
    """The copy that a task needs; where vectors run along `run`, its stride is made 1."""
    parts = tuple(_part(c, reach, run) for c in window.coordinates)
    return Copy(window, parts, scope, lanes)


def _part(coordinate: Coordinate, reach: Reach, run: Iter | None) -> Part:
    moving = [(it, coordinate.step(it)) for it in reach.moving if coordinate.step(it)]
    line = 0 if reach.line is None else coordinate.step(reach.line)
    unit = gcd(line, *(step for _, step in moving)) or 1
    start = dict(reach.fixed)
    span = 0
    for it, step in moving:
        start[it] = it.lo if step > 0 else it.hi - 1
        span += abs(step) * (int(it.extent) - 1)
    needed = Int.of(span)
    if reach.line is not None:
        start[reach.line] = reach.first if line >= 0 else reach.first + (reach.count - 1)
        span += abs(line) * (reach.lines - 1)
        needed = needed + abs(line) * (reach.count - 1)
    phases = 1 if run is None else max(1, coordinate.step(run) // unit)
    return Part(
        coordinate,
        coordinate.index.sub(start),
        unit,
        span // unit + 1,
        needed // unit + 1,
        phases,
    )


def counter_points(dimensions: Iterable[Dimension]) -> dict[Iter, Int]:
    """Where all iterators of the dimensions are, over their counters."""
    point: dict[Iter, Int] = {}
    for dimension in dimensions:
        point |= dimension.point()
    return point
