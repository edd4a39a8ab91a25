"""The analytical schedule of a contraction: register tile, cache blocks, packing, tasks. No measurement.

Starting from Low et al., "Analytical modeling is enough for high-performance BLIS" (ACM TOMS 2016), with
two changes that measurements asked for: blocks of inner are as deep as L2 allows, and left is packed only
where its rows collide in the cache, because with constant strides it is as well read where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, lcm, prod

from tcomp.ir.loop.nodes import Load, Op, postorder
from tcomp.ops import OPS
from tcomp.schedule.contraction import cost
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.spread import preferred_size, size_for_left
from tcomp.schedule.contraction.tasks import RowPanels

OUTER, DOT = 0, 1  # vectors run along columns, or along inner
DIRECT, PRIVATE, SHARED = 0, 1, 2  # an operand as it lies, packed by each task, packed once for all

_PARALLEL_COST = 50_000.0  # vector multiplications below which threads cost more than they give
_SHARED_BYTES = 32 << 20  # of packed right that is kept for a whole call
_BOUND_BYTES = 256 << 20  # of one that is kept for all calls
_DOT_ROWS = 8  # rows up to which vectors along inner beat packing right
_DOT_TILE_ROWS, _DOT_TILE_COLUMNS = 4, 8  # of a tile of dot products: many columns are many streams
_LONG_EPILOGUE = 8.0  # the weight from which an epilogue waits until a tile's sums are in memory
# Lines, of a right that is one stream: 8x4096x4096 of u8 and i8 0.186 ms with 64, 0.164 with 128; u4 1x11008x4096 0.39
# and 0.31; f32 1.32 and 1.33 (medians).
STREAM_AHEAD = 128
_ROW_AHEAD = (
    64  # of a single row (1x768x3072 43 us without, 38 so, 39 with 128; i8 1x4096x4096 81, 70, 73)
)
_LATENCY = 800  # multiplications of vectors while a line comes from beyond L2
_DOT_AHEAD = 256  # positions of inner ahead (1x4096x4096 nt: 2.32 ms, 2.16 with these)
_STREAMED_ROWS = 8  # rows up to which a right from afar goes by once, a few of its rows at a time
_DIRECT_ROWS = 32  # rows up to which it is better read where it lies than packed for so few
_DIRECT_VECTORS = 3  # of its tiles: the fewer panels of rows, the less often right comes back
_SHORT_ROWS = 64  # rows up to which it is packed where it is used, never to come back
_PANEL_VECTORS = 4  # vectors of columns in a panel, at most
_TASK_COLUMNS = 512  # of a private right in a task, as far as it is known before tasks are chosen
_LONG_RUN = 1024  # columns of a right that goes by
_NEAR_BLOCK = 2  # times L1, of right that tiles of a panel of rows read one after the other
_NEXT_SHARE = 8  # of L2, that the next task's share of right may take
_EVEN_GAIN = 0.97  # of the time that an even division takes away at least, to be worth lower tiles


@dataclass(frozen=True, slots=True)
class Blocking:
    """The decisions of a contraction's schedule.

    Vectors have `lanes` elements. A tile is at most `tile_rows` rows of `tile_vectors` vectors of columns
    (of the form OUTER) or columns (of the form DOT). A task makes `task_panels` panels of rows times
    `task_columns` columns, `depth` positions of inner at a time, `unroll` of them unrolled.
    `left` and `right` tell how operands reach the tiles. Where right is packed by runs of its columns,
    `task_columns` is a whole number of runs and divides the columns. With `prefetch` tiles ask for memory
    before they need it: of a direct right so many inner positions ahead, of a shared one so many lines ahead
    or, with 1, the next panel; with 1 what the next task's private right is packed from.
    With `staged` the epilogue is a loop of its own over a tile's sums in memory.
    `words` numbers the form of words that are multiplied (`words.FORMS`), 0 where elements are; inner then
    counts words. Of products with codes it is 1 where sums of blocks are scaled, 2 where they are sums of integers.
    A task makes `task_spread` places of spread, along its last iterator.
    With `joined` these lie side by side in tiles of `tile_vectors` vectors.
    With `by_rows` it goes along one panel of rows after the other, else down one panel of columns after the other.
    """

    form: int
    lanes: int
    tile_rows: int
    tile_vectors: int
    unroll: int
    depth: int
    task_panels: int
    task_columns: int
    left: int
    right: int
    parallel: int
    prefetch: int
    staged: int
    words: int = 0
    by_rows: int = 0
    task_spread: int = 1
    joined: int = 0


def choose(g: Geometry, threads: int) -> Blocking:
    """The analytical choice."""
    if prefers_dots(g):
        return _choose_dots(g, threads)
    lanes = min(g.lanes, 1 << (g.columns.extent - 1).bit_length())  # shorter for few columns
    rows, vectors = _register_tile(g, lanes, SHARED)
    panels = g.row_panels(rows)
    step = cost.block_step(panels, 0, panels.count, ceil(g.columns.extent / lanes), vectors)
    threads = threads if pays_threads(g, step) else 1
    right = _right(g, threads)
    if g.spare_registers(right) != g.spare_registers(SHARED):
        rows, vectors = _register_tile(g, lanes, right)
    heights = _heights(g, rows) if threads > 1 else [rows]
    first, *lower = (_with_tile(g, lanes, height, vectors, right, threads) for height in heights)
    best = min(lower, key=lambda choice: choice[0], default=first)
    return best[1] if best[0] < _EVEN_GAIN * first[0] else first[1]


def _heights(g: Geometry, tallest: int) -> list[int]:
    """Heights of tiles that divide the rows into other numbers of panels: those of 64 rows by 6 are 11, which no
    two threads share evenly (64x64x16384 0.297 ms, by 4 rows 0.269)."""
    counts = {g.row_panels(h).count: h for h in range(max(1, tallest // 2), tallest + 1)}
    return sorted(counts.values(), reverse=True)


def _with_tile(
    g: Geometry, lanes: int, rows: int, vectors: int, right: int, threads: int
) -> tuple[float, Blocking]:
    """The blocking with a register tile, and what it is estimated to take."""
    panels = g.row_panels(rows)
    left = _left(g, panels.tallest)
    unroll = 4 if g.inner >= 4 else 1
    width = vectors * lanes
    whole = packs_columns(g, threads)
    columns = min(g.columns.extent, _TASK_COLUMNS)
    depth = _depth(g, width, left, right, unroll, panels.count == 1, whole, columns)
    if depth == 8 and depth < g.inner and right == DIRECT:
        vectors, unroll = min(vectors, 2), 8
    price, task_panels, task_columns = _task(g, panels, vectors, lanes, depth, left, right, threads)
    if task_columns < columns:  # the fewer blocks, the less often partial sums come and go
        depth = _depth(g, width, left, right, unroll, panels.count == 1, whole, task_columns)
    spread = _spread(g, panels.count, right, depth, task_panels, task_columns, threads)
    prefetch = _prefetch(g, rows, vectors, right, panels.count, threads)
    if right == PRIVATE:
        prefetch = int(_asks_for_next(g, depth, task_columns, spread))
    elif left == PRIVATE and depth == g.inner and g.spread.extent > 1:
        tasks = _tasks(g, panels.count, task_panels, task_columns)
        spread = size_for_left(g, tasks, threads)
    return price, Blocking(
        OUTER,
        lanes,
        rows,
        vectors,
        unroll,
        depth,
        task_panels,
        task_columns,
        left,
        right,
        int(threads > 1),
        prefetch,
        int(_epilogue_cost(g) > _LONG_EPILOGUE),
        by_rows=int(_goes_by_rows(g, right, depth * task_columns)),
        task_spread=spread,
    )


def _spread(
    g: Geometry, panels: int, right: int, depth: int, task_panels: int, task_columns: int, threads: int
) -> int:  # fmt: skip
    """Places of spread that a task packs right for."""
    whole = task_columns == g.columns.extent
    if right != PRIVATE or depth < g.inner or (g.right.by_lines and not whole):
        return 1
    tasks = _tasks(g, panels, task_panels, task_columns)
    return preferred_size(g, depth * task_columns, tasks, threads)


def _tasks(g: Geometry, panels: int, task_panels: int, task_columns: int) -> int:
    """How many there are, each of one place of spread."""
    tasks = g.batch.extent * g.spread.extent * ceil(panels / task_panels)
    return tasks * ceil(g.columns.extent / task_columns)


def _goes_by_rows(g: Geometry, right: int, block: int) -> bool:
    """Whether tiles better follow each other along rows, so that the output is written in long runs: where all that
    a task reads of right stays near meanwhile (12x197x197x64 nt 0.147 ms, so 0.139)."""
    near = block * g.dtype.bytes <= _NEAR_BLOCK * g.scope.target.l1
    return right == PRIVATE and near and g.output_is_far()


def _register_tile(g: Geometry, lanes: int, right: int) -> tuple[int, int]:
    registers = g.scope.target.vector_registers - g.spare_registers(right)
    rows, columns = g.rows.extent, g.columns.extent
    rows, vectors = cost.register_tile(rows, columns, lanes, registers, g.row_unit)
    if not _glances(g):
        return rows, vectors
    vectors = min(vectors, _DIRECT_VECTORS)
    return (registers - vectors - 1) // vectors, vectors


def _epilogue_cost(g: Geometry) -> float:
    """The weight of the operations around the sum."""
    return sum(OPS[n.op].cost for n in postorder(g.epilogue) if isinstance(n, Op))


def pays_threads(g: Geometry, step: float) -> bool:
    """Whether the whole takes long enough; `step` is what one position of inner costs."""
    times = g.batch.extent * g.spread.extent
    read = cost.afar(g, g.columns.extent * times) * g.columns.extent / g.lanes
    whole = (step + read) * g.inner * times
    return whole >= _PARALLEL_COST


def _is_far(g: Geometry) -> bool:
    """Whether all of right does not stay in L2."""
    return cost.afar(g, g.columns.extent) > 0


def _prefetch(g: Geometry, rows: int, vectors: int, right: int, panels: int, threads: int) -> int:
    """How far ahead a right from beyond L2 is asked for."""
    streams = right == DIRECT and g.rows.extent <= _STREAMED_ROWS
    if not can_prefetch(g, right) or not _is_far(g) or streams or _glances(g):
        return 0  # 16x4096x1024: 0.34 ms, 16 rows ahead 0.42
    if right == SHARED and panels == 1:
        if rows > 1:
            return STREAM_AHEAD
        size = g.inner * g.columns.extent * g.spread.extent * g.dtype.bytes
        return _ROW_AHEAD if size > threads * g.scope.target.l2 else 0
    return 1 if right == SHARED else max(4, ceil(_LATENCY / (rows * vectors)))


def _asks_for_next(g: Geometry, depth: int, task_columns: int, spread: int) -> bool:
    """Whether what the next task packs is asked for: where it comes from beyond L2 in pieces, which the processor
    does not see coming, and finds room there."""
    right, size = g.right, g.dtype.bytes
    everything = g.batch.extent * g.spread.extent * g.inner * g.columns.extent * size
    follow = not right.runs_along_own() and right.step_own() == right.inner[right.along].extent
    return (
        can_prefetch(g, PRIVATE)
        and depth == g.inner
        and spread == 1
        and not follow
        and everything > g.scope.target.l2
        and depth * task_columns * size <= g.scope.target.l2 // _NEXT_SHARE
    )


def can_prefetch(g: Geometry, right: int) -> bool:
    """Whether it is known where the vectors lie that tiles read later."""
    if right == DIRECT:
        return g.right.is_plain() and len(g.contraction.inner) == 1
    if right == SHARED:
        return True
    value = g.right.value
    return (
        g.right.is_plain() and not g.right.by_lines and not (isinstance(value, Load) and value.word)
    )


def _left(g: Geometry, tile_rows: int) -> int:
    """Left as it lies, if it is a plain load and its lines do not collide."""
    if not g.left.is_plain():
        return PRIVATE
    few = g.rows.extent <= tile_rows and g.columns.extent <= 8 * g.lanes
    collides = cost.collides(g.left, tile_rows, g.inner, g.scope.target)
    return PRIVATE if collides and not few else DIRECT


def _right(g: Geometry, threads: int) -> int:
    """Right as it lies for few rows, a small matrix, or one that is a panel already; packed otherwise."""
    if packs_once(g):
        return SHARED  # one stream (1x768x3072: 77 us as it lies, packed 50)
    affine, lines = g.right.is_affine_along(g.columns), g.right.by_lines
    size = g.inner * g.columns.extent * g.dtype.bytes
    panel = g.columns.extent <= 4 * g.lanes and g.right.step_inner() <= 4 * g.lanes
    near = size <= g.scope.target.l2 // 4
    whole = size * g.spread.extent
    # 256 lines that are 4096 bytes apart: 512x1024x256 with AVX2 1.79 ms, packed 1.06.
    crowded = near and cost.collides(g.right, 1, g.inner, g.scope.target)
    fights = whole > g.scope.target.l2 and cost.crowds(g.right, g.inner, g.scope.target)
    good = (near and not crowded and not fights) or panel or g.rows.extent <= _STREAMED_ROWS
    if (good and affine and g.right.is_plain() and g.right.step_own() == 1) or _glances(g):
        return DIRECT
    left = g.rows.extent * g.inner * g.dtype.bytes
    if crowded or _is_short(g) or (not lines and left <= g.scope.target.l2 // 2):
        return PRIVATE  # left stays, so that no part of right comes back (128x768x768 653 us, shared 760)
    if lines or g.batch.extent >= 2 * threads or whole > _SHARED_BYTES:
        return PRIVATE
    return PRIVATE if packs_columns(g, threads) else SHARED


def packs_columns(g: Geometry, threads: int) -> bool:
    """Whether each thread packs its own columns, for all rows: nothing is packed twice, it stays in the thread's
    L2, and no thread waits for what another one packs (512 cubed 0.593 ms, 0.534 so; 1024 cubed of bf16 2.29,
    2.20)."""
    panel = _PANEL_VECTORS * g.lanes
    return (
        threads > 1
        and g.batch.extent == g.spread.extent == 1
        and g.rows.extent > _SHORT_ROWS
        and g.columns.extent >= 2 * threads * panel
        and 2 * panel * g.inner * g.dtype.bytes <= g.scope.target.l2 // 2
        and g.right.is_affine_along(g.columns)
        and _left(g, _register_tile(g, g.lanes, PRIVATE)[0]) == DIRECT
    )


def packs_once(g: Geometry) -> bool:
    """Whether right is packed before any call, and read in one stream from then on."""
    size = g.inner * g.columns.extent * g.spread.extent * g.dtype.bytes
    return g.has_constant_right() and not g.right.by_lines and size <= _BOUND_BYTES


def _depth(
    g: Geometry, width: int, left: int, right: int, unroll: int, single: bool, whole: bool, columns: int
) -> int:  # fmt: skip
    """Inner positions at a time: the sliver of right fills a quarter of L2, and what a task packs of so many columns
    nearly all of it. Blocks are even.

    Blocks that fit L1 are slower (Zen 4, 1024 cubed, one thread: depth 176 94 GFLOP/s, 512 103, 1024 107):
    L2 feeds the tiles well enough, and partial sums cost more. They wait in the output; one of another
    type cannot hold them, and takes inner whole.
    """
    if right == SHARED and single:
        return g.inner  # nothing of right is read twice
    if right == PRIVATE and whole:
        return g.inner
    l2 = g.scope.target.l2 // g.dtype.bytes
    room = l2 // 4 // width
    if right == PRIVATE:
        room = min(room, int(0.9 * l2) // columns)
        if _is_short(g):  # 16x4096x1024 by 128 rows 1.10 ms, by 256 1.49
            room = min(room, l2 // 8 // columns)
    if right == DIRECT and _is_far(g):
        room = l2 // 8 // width  # 64x64x16384: 0.69 ms, packed 1.30
        if g.rows.extent <= _STREAMED_ROWS and g.columns.extent > 4 * width:
            room = 8  # rows of right are streams, few at a time (1x4096x4096: 9.0 ms, by 8 rows 2.6 ms)
    streams = right == SHARED and g.rows.extent <= _STREAMED_ROWS
    if not g.holds_sums() or g.inner <= room or streams:
        return g.inner
    unit = inner_unit(g, left, right, unroll)
    blocks = ceil(g.inner / max(room, unit))
    return min(g.inner, ceil(ceil(g.inner / blocks) / unit) * unit)


def _glances(g: Geometry) -> bool:
    """Whether a right from afar is read by so few rows that packing it takes longer (Zen 5, 16 rows: 4096x1024
    0.34 ms where it lies, packed 0.45; 32 rows 0.63 and 0.75)."""
    return (
        _STREAMED_ROWS < g.rows.extent <= _DIRECT_ROWS
        and _is_far(g)
        and not g.has_constant_right()
        and g.right.is_affine_along(g.columns)
        and g.right.is_plain()
        and g.right.step_own() == 1
    )


def _is_short(g: Geometry) -> bool:
    """Whether rows are few for a right from afar."""
    return g.rows.extent <= _SHORT_ROWS and _is_far(g) and g.right.is_affine_along(g.columns)


def inner_unit(g: Geometry, left: int, right: int, unroll: int) -> int:
    """What blocks of inner are whole multiples of: groups of unrolled positions; vectors of a packer; and,
    where loops of a packer or of tiles run over several dimensions of inner, steps of the first."""
    c = g.contraction
    sides = ((left, g.left, (c.left, g.rows)), (right, g.right, (c.right, g.columns)))
    loops = g.inner_dimensions([factor for mode, _, factor in sides if mode == DIRECT])
    unit = lcm(unroll, prod(d.extent for d in loops[1:]))
    for mode, side, _ in sides:
        if mode == PRIVATE:
            vectors = g.lanes if side.along == 0 else 1
            unit = lcm(unit, side.unit() * vectors)
    return unit


# -- dot products ------------------------------------------------------------------------------------


def prefers_dots(g: Geometry) -> bool:
    """Whether vectors better run along inner: rows are too few to pack right for them."""
    return (
        can_dot(g)
        and not packs_once(g)
        and g.rows.extent <= _DOT_ROWS
        and not g.right.runs_along_own()
        and g.right.step_inner() == 1
        and g.left.step_inner() <= 1
        and min(side.inner[-1].extent for side in (g.left, g.right)) >= g.lanes
    )


def can_dot(g: Geometry) -> bool:
    """Whether vectors can run along inner."""
    return (
        g.left.is_affine_along(g.rows)
        and g.right.is_affine_along(g.columns)
        and g.left.is_affine_along(g.left.inner[-1])
        and g.right.is_affine_along(g.right.inner[-1])
    )


def _choose_dots(g: Geometry, threads: int) -> Blocking:
    """As many columns as registers hold for a few rows; columns shared out over threads.

    Memory answers many streams at once (8x4096x4096, Zen 5: tiles of 8x2 2.09 ms, 4x4 1.51, 4x6 1.36), and rows
    of right that come back for a second panel of rows are near by then.
    """
    registers = g.scope.target.vector_registers - 1
    panels = RowPanels.of(g.rows.extent, min(_DOT_TILE_ROWS, registers // 2))
    most = registers // panels.tallest - 1
    columns = max(1, min(_DOT_TILE_COLUMNS, most, g.columns.extent))
    unroll = 2 if panels.tallest * columns <= 8 else 1
    parallel = threads > 1 and pays_threads(g, g.rows.extent * g.columns.extent / g.lanes)
    share = ceil(ceil(g.columns.extent / columns) / (2 * threads)) if parallel else 0
    task_columns = share * columns or g.columns.extent
    return Blocking(
        DOT, g.lanes, panels.tallest, columns, unroll, g.inner, panels.count, task_columns, DIRECT, DIRECT,
        int(parallel), _DOT_AHEAD if _is_far(g) and can_prefetch(g, DIRECT) else 0, 0,
    )  # fmt: skip


# -- tasks -------------------------------------------------------------------------------------------


def _task(
    g: Geometry,
    panels: RowPanels,
    vectors: int,
    lanes: int,
    depth: int,
    left: int,
    right: int,
    threads: int,
) -> tuple[float, int, int]:
    """The least estimated time for all tasks, and the panels of rows and columns of a task for it."""
    outside = g.spread.extent * (1 if right == SHARED else g.batch.extent)
    best = (float("inf"), panels.count, g.columns.extent)
    for columns in _column_choices(g, vectors * lanes, depth, right, threads):
        for count in _panel_choices(g, panels, depth, left, right, threads):
            tasks = outside * ceil(panels.count / count) * ceil(g.columns.extent / columns)
            step = cost.block_step(panels, 0, count, ceil(columns / lanes), vectors)
            each = step * g.inner + cost.TASK
            rows = min(count * panels.tallest, g.rows.extent)
            pack, read = cost.pack_left, cost.read_left
            each += pack(g, rows) if left == PRIVATE else read(g, rows)
            if right == PRIVATE:
                each += cost.pack_right(g, columns, lanes)
            else:
                each += cost.read_right(g, columns, lanes)
            if g.output_is_far():
                each += cost.RUN * rows
            if right == SHARED:  # nobody asked for a task's first panel
                each += cost.read_right(g, vectors * lanes, lanes)
            shares = ceil(tasks / threads) + (0.2 if threads > 1 else 0.0)
            best = min(best, (shares * each, count, columns))
    return best


def _panel_choices(
    g: Geometry, panels: RowPanels, depth: int, left: int, right: int, threads: int
) -> Iterator[int]:
    """Even divisions of the row panels; packed left of a task fits L2."""
    room = g.scope.target.l2 // g.dtype.bytes
    most = max(1, room // (panels.tallest * depth)) if left == PRIVATE else panels.count
    fewest = ceil(panels.count / most)
    if right == PRIVATE and packs_columns(g, threads):
        yield panels.count
        return
    for blocks in range(fewest, min(panels.count, fewest + 4 * threads) + 1):
        yield ceil(panels.count / blocks)


def _column_choices(g: Geometry, width: int, depth: int, right: int, threads: int) -> Iterator[int]:
    """Divisions of the columns, in whole panels or runs; packed right of a task fits L2."""
    columns = g.columns.extent
    most = columns
    if right == DIRECT and _is_far(g) and g.rows.extent <= _STREAMED_ROWS:
        blocks = max(threads, min(2 * threads, columns // _LONG_RUN))
        yield min(columns, ceil(ceil(columns / width) / blocks) * width)
        return
    if right == PRIVATE:
        most = max(width, int(0.9 * g.scope.target.l2) // g.dtype.bytes // depth)
        if g.right.by_lines:
            run = g.right.run_unit()
            runs = columns // run
            divisors = [d for d in range(1, runs + 1) if runs % d == 0]
            fitting = [d for d in divisors if d * run <= most] or divisors[:1]
            yield from (d * run for d in fitting[-4:])
            return
        if _is_short(g):  # in long runs
            blocks = ceil(ceil(columns / max(512, width)) / threads) * threads
            yield min(columns, ceil(ceil(columns / width) / blocks) * width)
            return
    panels = ceil(columns / width)
    fewest = ceil(columns / max(most // width * width, width)) if most < columns else 1
    for blocks in range(fewest, min(panels, fewest + 4 * threads) + 1):
        share = ceil(panels / blocks) * width
        yield min(share, columns) if blocks == 1 else share
