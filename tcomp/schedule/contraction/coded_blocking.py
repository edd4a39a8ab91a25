"""Schedules of products with codes: the analytical one, and which are legal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from tcomp.schedule.contraction import coded_price, cost
from tcomp.schedule.contraction.blocking import (
    DIRECT,
    PRIVATE,
    SHARED,
    STREAM_AHEAD,
    Blocking,
    pays_threads,
)
from tcomp.schedule.contraction.coded import PER_WORD, CodedContraction
from tcomp.schedule.contraction.coded_geometry import CodedGeometry
from tcomp.schedule.contraction.match import extent
from tcomp.schedule.contraction.tasks import RowPanels

CODED = 4  # the form; 0 to 3 are others
_TASKS = 4  # for each thread, so that none waits long for the last one
_UNROLLS = (1, 2, 4)
_CODE = 1024  # multiplications in the text of a tile's loop, at most
_LOOP = (
    192  # above so many a loop is slower (8x4096x4096 with 512 of them 0.84 ms, 256 0.66, 128 0.62)
)
_FEW_ROWS = 2


def scales_sums(contraction: CodedContraction) -> bool:
    """Whether sums of blocks are better multiplied by the scale than elements: with few rows, where there is
    room for both kinds of sums."""
    few = extent(contraction.rows) <= _FEW_ROWS
    return contraction.scale is not None and (contraction.nested or few)


def choose_coded(ways: Sequence[CodedGeometry], threads: int) -> Blocking:
    """The analytical choice: the way that takes the least time by its instructions."""
    prices = []
    for g in ways:
        parallel = threads > 1 and pays_threads(g, g.rows.extent * g.columns.extent / g.lanes)
        rows, vectors = _tile(g)
        prices.append(coded_price.cycles(g, rows, vectors, threads if parallel else 1))
    return choose_way(ways[prices.index(min(prices))], threads)


def choose_way(g: CodedGeometry, threads: int) -> Blocking:
    """The analytical choice of one way: sums fill the registers; columns are shared out over threads, then
    rows."""
    lanes = min(g.lanes, 1 << (g.columns.extent - 1).bit_length())
    if g.fixed is not None:
        lanes = g.lanes
    rows, vectors = _tile(g)
    panels = RowPanels.of(g.rows.extent, rows)
    vectors = min(vectors, ceil(g.columns.extent / lanes))
    width = vectors * lanes
    parallel = threads > 1 and pays_threads(g, g.rows.extent * g.columns.extent / g.lanes)
    count = ceil(g.columns.extent / width)
    tasks = _TASKS * threads if parallel else 1
    columns = ceil(count / tasks)
    shares = ceil(tasks / ceil(count / columns))
    most = 1 if g.fixed is not None else _LOOP // (PER_WORD * rows * vectors)
    unroll = max(u for u in _UNROLLS if u == 1 or u <= most)
    return Blocking(
        CODED, lanes, rows, vectors, unroll, g.inner, ceil(panels.count / shares),
        min(columns * width, g.columns.extent), _left(g, panels.tallest), SHARED,
        int(parallel), STREAM_AHEAD if panels.count == 1 else 0, 0, g.way,
    )  # fmt: skip


def _tile(g: CodedGeometry) -> tuple[int, int]:
    """Rows and vectors of the best tile."""
    if g.fixed is None:
        return max(_tiles(g), key=lambda t: _merit(g, *t))
    return min(_tiles(g), key=lambda t: coded_price.cycles(g, t[0], t[1], 1))


def _left(g: CodedGeometry, tile_rows: int) -> int:
    collides = cost.collides(g.left, tile_rows, g.inner, g.scope.target)
    return DIRECT if g.left.is_plain() and not collides else PRIVATE


def _tiles(g: CodedGeometry) -> Iterator[tuple[int, int]]:
    """Shapes whose sums stay in registers."""
    for vectors in range(1, 5):
        for rows in range(1, min(g.rows.extent, 14) + 1):
            if _registers(g, rows, vectors) <= g.scope.target.vector_registers:
                yield rows, vectors


def _registers(g: CodedGeometry, rows: int, vectors: int) -> int:
    """Sums, a block's sums beside them if it is scaled, words, constants, a table, a value, a factor."""
    if g.fixed is not None:
        return coded_price.registers(g, rows, vectors)
    sums = rows * vectors
    own = max(sums, min(8, 8 * sums)) if g.scale is not None else 0
    return sums + own + vectors * len(g.constants) + vectors + 3


def _merit(g: CodedGeometry, rows: int, vectors: int) -> float:
    """Multiplications for each instruction of one position, with even panels of rows."""
    panels = RowPanels.of(g.rows.extent, rows)
    even = g.rows.extent / (panels.count * panels.tallest)
    products = rows * vectors
    idle = max(1.0, 4 / products)  # chains are not free
    return even * products / (products * idle + 2 * vectors + 0.1 * rows)


def is_legal_coded(g: CodedGeometry, b: Blocking) -> bool:
    """Whether a blocking gives right code that keeps its sums in registers."""
    if b.form != CODED or b.lanes not in (g.lanes, g.lanes // 2) or b.lanes < 1:
        return False
    if min(b.tile_rows, b.tile_vectors, b.task_panels, b.task_columns) < 1:
        return False
    panels = RowPanels.of(g.rows.extent, b.tile_rows)
    width = b.tile_vectors * b.lanes
    return (
        (b.depth, b.right) == (g.inner, SHARED)
        and 0 <= b.prefetch <= 4 * STREAM_AHEAD
        and b.words == g.way
        and (g.fixed is None or b.lanes == g.lanes)
        and b.left in ((DIRECT, PRIVATE) if g.left.is_plain() else (PRIVATE,))
        and b.parallel in (0, 1)
        and b.staged in (0, 1)
        and b.unroll in _UNROLLS
        and b.task_panels <= panels.count
        and (b.task_columns == g.columns.extent or b.task_columns % width == 0)
        and b.task_columns <= g.columns.extent
        and (b.tile_vectors - 1) * b.lanes < g.columns.extent
        and _registers(g, panels.tallest, b.tile_vectors) <= g.scope.target.vector_registers
        and PER_WORD * panels.tallest * b.tile_vectors * b.unroll <= _CODE
    )


def coded_around(ways: Sequence[CodedGeometry], here: Blocking, threads: int) -> Iterator[Blocking]:
    """Legal blockings one decision away; each other way is where its own analytical choice is."""
    (g,) = (each for each in ways if each.way == here.words)
    moves = [replace(here, unroll=u) for u in _UNROLLS]
    moves += [replace(here, tile_rows=r, tile_vectors=v) for r, v in _tiles(g)]
    moves += [replace(here, prefetch=p) for p in (0, STREAM_AHEAD // 4, STREAM_AHEAD)]
    moves += [replace(here, left=left) for left in (DIRECT, PRIVATE)]
    for factor in (0.25, 0.5, 2, 4):
        moves.append(replace(here, task_columns=max(1, int(here.task_columns * factor))))
        moves.append(replace(here, task_panels=max(1, int(here.task_panels * factor))))
    if threads > 1:
        moves.append(replace(here, parallel=1 - here.parallel))
    seen = {here}
    yield from (choose_way(each, threads) for each in ways if each is not g)
    for move in moves:
        width = move.tile_vectors * move.lanes
        columns = min(g.columns.extent, ceil(move.task_columns / width) * width)
        count = RowPanels.of(g.rows.extent, move.tile_rows).count
        fitted = replace(move, task_columns=columns, task_panels=min(move.task_panels, count))
        if fitted not in seen and is_legal_coded(g, fitted):
            seen.add(fitted)
            yield fitted
