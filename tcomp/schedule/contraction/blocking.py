"""The analytical schedule of a contraction: register tile, cache blocks, packing. No measurement.

Register tile: the shape with the least estimated cycles among those that fit the registers, partial tiles
counted whole. Cache blocks after Low et al., "Analytical modeling is enough for high-performance BLIS"
(ACM TOMS 2016): a sliver of right, one panel wide, stays in L1, a task's block of left in half of L2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lcm

from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.target import Target

DIRECT, PRIVATE, SHARED = 0, 1, 2  # an operand as it lies, packed by each task, packed once for all

_PARALLEL_WORK = 1_000_000  # multiplications below which threads cost more than they give
_SHARED_BYTES = 32 << 20  # of packed right that is kept for a whole call


@dataclass(frozen=True, slots=True)
class Blocking:
    """The decisions of a contraction's schedule.

    A tile is at most `tile_rows` rows of `tile_vectors` vectors. A task makes `task_panels` panels of
    rows times `task_columns` columns, `depth` positions of inner at a time, `unroll` of them unrolled.
    `left` and `right` tell how operands reach the tiles.
    """

    tile_rows: int
    tile_vectors: int
    unroll: int
    depth: int
    task_panels: int
    task_columns: int
    left: int
    right: int
    parallel: int


def choose(g: Geometry, threads: int) -> Blocking:
    """The analytical choice."""
    target = g.scope.target
    rows, columns = g.rows.extent, g.columns.extent
    tile_rows, vectors = register_tile(rows, columns, g.lanes, target.vector_registers)
    width = vectors * g.lanes
    panels = RowPanels.of(rows, tile_rows)
    left, right = _left(g, tile_rows), _right(g, width, threads)
    unroll = 4 if g.inner >= 4 else 1
    unit = 1
    if left != DIRECT:
        unit = lcm(unit, g.left.unit(), g.lanes if len(g.left.inner) == 1 else 1)
    if right == PRIVATE:
        unit = lcm(unit, g.right.unit(), g.lanes if len(g.right.inner) == 1 else 1)
    depth = _depth(g, width, lcm(unit, unroll), target)
    parallel = threads > 1 and g.contraction.multiplications >= _PARALLEL_WORK
    task_panels, task_columns = _task(
        g, panels, width, depth, left, right, threads if parallel else 1
    )
    return Blocking(
        tile_rows, vectors, unroll, depth, task_panels, task_columns, left, right, int(parallel)
    )


def register_tile(rows: int, columns: int, lanes: int, registers: int) -> tuple[int, int]:
    """Rows and vectors of the cheapest register tile for an output of rows x columns.

    A step of a tile costs its multiplications, or 1.3 times its loads where these are more, or what the
    latency of nine sums leaves idle (fitted to shapes measured on Zen 3: 6x16 95 GFLOP/s, 14x8 71,
    8x8 63, 4x16 84, 2x16 51), and a little for the loop.
    """
    best = (float("inf"), 0, 1, 1)
    wanted = ceil(columns / lanes)
    for vectors in range(1, min(4, wanted) + 1):
        most = (registers - vectors - 1) // vectors
        for tile_rows in range(1, min(most, rows) + 1):
            panels = RowPanels.of(rows, tile_rows)
            full, rest = divmod(wanted, vectors)
            cycles = 0.0
            for height, count in (
                (panels.rows + 1, panels.larger),
                (panels.rows, panels.count - panels.larger),
            ):
                step = full * _step(height, vectors) + (_step(height, rest) if rest else 0.0)
                cycles += count * step
            best = min(best, (cycles, -vectors * tile_rows, tile_rows, vectors))
    return best[2], best[3]


def _step(rows: int, vectors: int) -> float:
    """Time of one inner position of a tile, in multiplications of a vector."""
    return max(float(rows * vectors), 1.3 * (rows + vectors), 9.0) + 0.25


def _depth(g: Geometry, width: int, unit: int, target: Target) -> int:
    """Inner positions at a time: the sliver of right fills a quarter of L2. Blocks are even.

    Blocks that fit L1 are slower (Zen 4, 1024 cubed, one thread: depth 176 94 GFLOP/s, 512 103, 1024 107):
    L2 feeds the tiles well enough, and partial sums cost more. They wait in the output; one of another
    type cannot hold them, and takes inner whole.
    """
    room = target.l2 // 4 // (width * g.dtype.bytes)
    if not g.holds_sums() or g.inner <= room:
        return g.inner
    blocks = ceil(g.inner / room)
    depth = ceil(ceil(g.inner / blocks) / unit) * unit
    return min(depth, g.inner)


def _left(g: Geometry, tile_rows: int) -> int:
    """Left as it lies, if it is plain and its rows do not compete for the same sets of the cache."""
    if not g.left.is_plain() or not g.left.is_affine_along(g.rows):
        return PRIVATE
    if g.rows.extent <= tile_rows and g.columns.extent <= 64:
        return DIRECT
    return DIRECT if g.columns.extent * 4 <= 256 and g.inner <= 512 else PRIVATE


def _right(g: Geometry, width: int, threads: int) -> int:
    """Right as it lies for few rows or a small matrix; packed otherwise."""
    contiguous = (
        g.right.is_plain() and g.right.is_affine_along(g.columns) and g.right.runs_along_own()
    )
    size = g.inner * g.columns.extent * g.dtype.bytes
    if contiguous and (g.rows.extent <= 48 or size <= g.scope.target.l2 // 2):
        return DIRECT
    if not g.right.is_affine_along(g.columns):
        return PRIVATE
    if g.batch.extent >= 2 * threads or size * g.spread.extent > _SHARED_BYTES:
        return PRIVATE
    return SHARED


def _task(
    g: Geometry, panels: RowPanels, width: int, depth: int, left: int, right: int, threads: int
) -> tuple[int, int]:
    """Panels of rows and columns of a task: left fills L2, and there are tasks for all threads."""
    room = g.scope.target.l2 // g.dtype.bytes
    task_panels = max(1, min(panels.count, room // (panels.tallest * depth)))
    columns = g.columns.extent
    task_columns = columns
    if right == PRIVATE:
        task_columns = min(columns, max(width, room // 2 // depth // width * width))
        run = g.right.runs[-1].extent if not g.right.is_affine_along(g.columns) else 0
        if run:
            task_columns = _whole_runs(columns, run, task_columns)
        task_panels = panels.count if left == DIRECT else task_panels
    wanted = 2 * threads if threads > 1 else 1
    outside = g.spread.extent * (1 if right == SHARED else g.batch.extent)
    while outside * ceil(panels.count / task_panels) * ceil(columns / task_columns) < wanted:
        if task_panels > 1:
            task_panels = ceil(task_panels / 2)
        elif task_columns > width and task_columns % width == 0:
            task_columns = ceil(task_columns / 2 / width) * width
        else:
            break
    blocks = ceil(panels.count / task_panels)
    if threads > 1 and blocks % threads and blocks > 1:
        blocks = min(panels.count, ceil(blocks / threads) * threads)
    return ceil(panels.count / blocks), task_columns


def _whole_runs(columns: int, run: int, wanted: int) -> int:
    """A number of columns near `wanted` that is a multiple of `run` and divides `columns`."""
    runs = columns // run
    most = max(1, wanted // run)
    return run * max(d for d in range(1, runs + 1) if runs % d == 0 and d <= most)
