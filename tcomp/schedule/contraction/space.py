"""The space of a contraction's schedules: what is legal, and what lies one decision away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from tcomp.ir.plan import Group
from tcomp.schedule.contraction.blocking import (
    DIRECT,
    DOT,
    OUTER,
    PRIVATE,
    SHARED,
    Blocking,
    can_dot,
    can_prefetch,
    choose,
    inner_unit,
)
from tcomp.schedule.contraction.coded import CodedContraction
from tcomp.schedule.contraction.coded_blocking import coded_around, is_legal_coded
from tcomp.schedule.contraction.coded_geometry import CodedGeometry
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.group import (
    choose_in_words,
    coded_geometries,
    from_trace,
    numbers_of_words,
    recognised,
    survey_dense,
    to_trace,
)
from tcomp.schedule.contraction.joined_blocking import is_legal_joined, joined
from tcomp.schedule.contraction.match import Contraction
from tcomp.schedule.contraction.spread import last_of_spread, legal_sizes
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.schedule.contraction.window import decisions
from tcomp.schedule.contraction.window.decisions import WindowBlocking
from tcomp.schedule.contraction.window.frame import Frame, frames
from tcomp.schedule.trace import Trace
from tcomp.target import Target

_UNROLLS = (1, 2, 4, 8)
_WALK = 8  # steps from the analytical schedule to a drawn one, at most
_FARTHEST = 512  # inner positions ahead that may be asked for
_SPREADS = 6  # sizes of blocks of spread
_CODE = 512  # multiplications in the text of a tile's loop, at most: compile time


@dataclass(frozen=True, slots=True)
class ContractionSpace:
    """The legal schedules of a group that is one contraction; `first` is the analytical one."""

    group: Group
    target: Target
    threads: int
    first: Trace

    def sample(self, rng: random.Random) -> Trace:
        """The end of a random walk from the analytical schedule."""
        here = from_trace(self.first)
        for _ in range(rng.randint(1, _WALK)):
            here = rng.choice(list(self._around(here)) or [here])
        return to_trace(here)

    def neighbours(self, trace: Trace) -> Iterator[Trace]:
        """Legal schedules one decision away, in a fixed order."""
        return map(to_trace, self._around(from_trace(trace)))

    def allows(self, trace: Trace) -> bool:
        """Whether every decision is there and legal."""
        try:
            blocking = from_trace(trace)
        except KeyError:
            return False
        if isinstance(self._contraction(), CodedContraction):
            return isinstance(blocking, Blocking) and any(
                is_legal_coded(g, blocking) for g in self._coded()
            )
        known = words_of(blocking) in numbers_of_words(self._contraction(), self.target)
        return trace.kind == self.first.kind and known and self._ways(blocking).allows(blocking)

    def _around(self, here: Blocking | WindowBlocking) -> Iterator[Blocking | WindowBlocking]:
        """Decisions one step away; each other form of words is where its own analytical choice is."""
        if isinstance(self._contraction(), CodedContraction):
            assert isinstance(here, Blocking)
            yield from coded_around(self._coded(), here, self.threads)
            return
        yield from self._ways(here).around(here, self.threads)
        contraction = self._contraction()
        for number in numbers_of_words(contraction, self.target):
            if number != words_of(here):
                constants = self.group.constants
                yield choose_in_words(contraction, self.target, self.threads, number, constants)

    def _contraction(self) -> Contraction:
        contraction = recognised(self.group.members[0])
        assert contraction is not None  # `first` is a contraction's trace
        return contraction

    def _coded(self) -> list[CodedGeometry]:
        contraction = self._contraction()
        assert isinstance(contraction, CodedContraction)
        return coded_geometries(contraction, self.target, self.group.constants)

    def _ways(self, here: Blocking | WindowBlocking) -> Ways:
        contraction, constants = self._contraction(), self.group.constants
        geometry = survey_dense(contraction, self.target, constants, words_of(here))
        plain = words_of(here) == 0
        return Ways(geometry, frames(contraction, geometry.scope) if plain else [])


def words_of(here: Blocking | WindowBlocking) -> int:
    """The number of the form of words; windows multiply elements."""
    return here.words if isinstance(here, Blocking) else 0


@dataclass(frozen=True, slots=True)
class Ways:
    """A contraction without a window, and the frames in which it has one."""

    geometry: Geometry
    frames: list[Frame]

    def around(
        self, here: Blocking | WindowBlocking, threads: int
    ) -> Iterator[Blocking | WindowBlocking]:
        """Legal decisions one step away; the best of each other form is one of them."""
        seen = {here}
        for choice in self._moves(here, threads):
            if choice not in seen:
                seen.add(choice)
                yield choice

    def _moves(
        self, here: Blocking | WindowBlocking, threads: int
    ) -> Iterator[Blocking | WindowBlocking]:
        if isinstance(here, WindowBlocking):
            yield choose(self.geometry, threads)
            yield from decisions.around(self.frames, here, threads)
            return
        yield from around(self.geometry, here, threads)
        if here.joined:
            yield choose(self.geometry, threads)
        yield from joined(self.geometry, replace(here, joined=0, task_spread=1), threads)
        for _, window in decisions.candidates(self.frames, threads):
            yield window

    def allows(self, here: Blocking | WindowBlocking) -> bool:
        """Whether it is legal."""
        if not isinstance(here, WindowBlocking):
            return is_legal(self.geometry, here)
        known = 0 <= here.frame < len(self.frames)
        return known and decisions.is_legal(self.frames[here.frame], here)


def around(g: Geometry, here: Blocking, threads: int) -> Iterator[Blocking]:
    """Legal blockings one decision away."""
    seen = {here}
    for choice in (_repaired(g, b) for b in _moves(g, here, threads)):
        if choice not in seen and is_legal(g, choice):
            seen.add(choice)
            yield choice


def is_legal(g: Geometry, b: Blocking) -> bool:
    """Whether a blocking gives right code that keeps its sums in registers and its blocks in L2."""
    if b.left not in (DIRECT, PRIVATE) or b.right not in (DIRECT, PRIVATE, SHARED):
        return False
    if {b.parallel, b.staged, b.by_rows, b.joined} - {0, 1} or b.unroll not in _UNROLLS:
        return False
    if not 0 <= b.prefetch <= _FARTHEST or (b.prefetch and not can_prefetch(g, b.right)):
        return False
    if b.prefetch > 1 and b.right == PRIVATE:
        return False
    panels = g.row_panels(b.tile_rows) if b.tile_rows > 0 else None
    if b.lanes not in lengths(g):
        return False
    positive = min(b.tile_vectors, b.unroll, b.depth, b.task_panels, b.task_columns) > 0
    if panels is None or not positive or b.depth > g.inner:
        return False
    if b.task_panels > panels.count or b.task_columns > g.columns.extent:
        return False
    if b.tile_rows * b.tile_vectors * b.unroll > _CODE:
        return False
    if b.form == DOT:
        return _is_legal_dot(g, b)
    if b.joined:
        return is_legal_joined(g, b) and _fits_vectors(g, b, panels) and _fits_l2(g, b, panels)
    return (
        b.form == OUTER
        and _fits_registers(g, b, panels)
        and _divides_columns(g, b)
        and _divides_inner(g, b)
        and _divides_spread(g, b)
        and _fits_l2(g, b, panels)
    )


def _is_legal_dot(g: Geometry, b: Blocking) -> bool:
    return (
        can_dot(g)
        and (b.left, b.right, b.depth) == (DIRECT, DIRECT, g.inner)
        and not b.staged
        and b.task_spread == 1
        and b.tile_rows * (b.tile_vectors + 1) + 1
        <= g.scope.target.vector_registers - g.spare_registers(DIRECT)
        and _is_whole(b.task_columns, b.tile_vectors, g.columns.extent)
    )


def _fits_registers(g: Geometry, b: Blocking, panels: RowPanels) -> bool:
    return _fits_vectors(g, b, panels) and (b.tile_vectors - 1) * b.lanes < g.columns.extent


def _fits_vectors(g: Geometry, b: Blocking, panels: RowPanels) -> bool:
    needed = panels.tallest * b.tile_vectors + b.tile_vectors + 1
    return needed <= g.scope.target.vector_registers - g.spare_registers(b.right)


def _divides_columns(g: Geometry, b: Blocking) -> bool:
    columns, width = g.columns.extent, b.tile_vectors * b.lanes
    if not g.right.by_lines:
        affine = b.right != DIRECT or g.right.is_affine_along(g.columns)
        return affine and _is_whole(b.task_columns, width, columns)
    run = g.right.run_unit()
    whole = b.task_columns % run == 0 and columns % b.task_columns == 0
    return b.right == PRIVATE and whole


def _is_whole(share: int, width: int, columns: int) -> bool:
    return share == columns or share % width == 0


def _divides_inner(g: Geometry, b: Blocking) -> bool:
    return b.depth == g.inner or (g.holds_sums() and b.depth % _unit(g, b) == 0)


def _divides_spread(g: Geometry, b: Blocking) -> bool:
    if b.task_spread == 1:
        return True
    if b.right != PRIVATE:
        return b.depth == g.inner and 1 < b.task_spread <= last_of_spread(g).extent
    whole = b.task_columns == g.columns.extent or not g.right.by_lines
    return b.right == PRIVATE and b.depth == g.inner and whole and b.task_spread in legal_sizes(g)


def _unit(g: Geometry, b: Blocking) -> int:
    return inner_unit(g, b.left, b.right, b.unroll)


def _fits_l2(g: Geometry, b: Blocking, panels: RowPanels) -> bool:
    left = b.task_panels * panels.tallest * b.depth if b.left == PRIVATE else 0
    right = b.task_columns * b.depth * b.task_spread if b.right == PRIVATE else 0
    return (left + right) * g.dtype.bytes <= 4 * g.scope.target.l2


# -- moves -------------------------------------------------------------------------------------------


def _moves(g: Geometry, here: Blocking, threads: int) -> Iterator[Blocking]:
    if threads > 1:
        yield replace(here, parallel=1 - here.parallel)
    for unroll in _UNROLLS:
        yield replace(here, unroll=unroll)
    for task_panels in _scaled(here.task_panels):
        yield replace(here, task_panels=task_panels)
    for task_columns in _scaled(here.task_columns):
        yield replace(here, task_columns=task_columns)
    if here.form == DOT:
        for rows in range(1, min(g.rows.extent, 8) + 1):
            yield replace(here, tile_rows=rows)
        for columns in (1, 2, 3, 4, 6, 8):
            yield replace(here, tile_vectors=columns)
        return
    for lanes in lengths(g):
        yield replace(here, lanes=lanes)
    for rows, vectors in tiles(g, here.right):
        yield replace(here, tile_rows=rows, tile_vectors=vectors)
    for depth in (*_scaled(here.depth), g.inner):
        yield replace(here, depth=depth)
    for prefetch in (0, 1, *_scaled(here.prefetch or 16)):
        yield replace(here, prefetch=prefetch)
    yield replace(here, staged=1 - here.staged)
    yield replace(here, by_rows=1 - here.by_rows)
    for task_spread in legal_sizes(g)[:_SPREADS]:
        yield replace(here, task_spread=task_spread)
    for left in (DIRECT, PRIVATE):
        yield replace(here, left=left)
    for right in (DIRECT, PRIVATE, SHARED):
        yield replace(here, right=right)


def lengths(g: Geometry) -> tuple[int, ...]:
    """Lengths of vectors: the target's, and shorter ones for a last vector that is nearly empty."""
    return tuple(g.lanes >> k for k in range(g.lanes.bit_length()) if g.lanes >> k > 1) or (1,)


def tiles(g: Geometry, right: int) -> Iterator[tuple[int, int]]:
    """Register tiles worth trying: the tallest of each width, and somewhat lower ones."""
    registers = g.scope.target.vector_registers - g.spare_registers(right)
    for vectors in range(1, 6):
        tallest = min((registers - vectors - 1) // vectors, g.rows.extent)
        for rows in dict.fromkeys(
            (tallest, tallest - 1, tallest - 2, tallest * 3 // 4, tallest // 2)
        ):
            if rows > 0:
                yield rows, vectors


def _scaled(value: int) -> tuple[int, ...]:
    return (max(1, value // 4), max(1, value // 2), max(1, value * 3 // 4), value * 2, value * 4)


def _repaired(g: Geometry, b: Blocking) -> Blocking:
    """The nearest blocking whose shares are whole panels, runs and unrolled groups."""
    panels = g.row_panels(b.tile_rows)
    columns, inner = g.columns.extent, g.inner
    width = b.tile_vectors * (1 if b.form == DOT else b.lanes)
    if g.right.by_lines:
        width = g.right.run_unit()
    task_columns = min(columns, ceil(b.task_columns / width) * width)
    unit = _unit(g, b)
    depth = min(inner, ceil(b.depth / unit) * unit)
    depth = inner if b.form == DOT else depth
    task_panels = min(b.task_panels, panels.count)
    farthest = 1 if b.right == PRIVATE else _FARTHEST
    prefetch = min(b.prefetch, farthest) if can_prefetch(g, b.right) else 0
    return replace(
        b, task_columns=task_columns, depth=depth, task_panels=task_panels, prefetch=prefetch
    )
