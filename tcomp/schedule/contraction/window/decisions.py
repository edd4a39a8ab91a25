"""What is decided about a contraction with a window, and the choice without measuring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from tcomp.ir.loop.nodes import Load
from tcomp.schedule.contraction import cost
from tcomp.schedule.contraction.dimensions import strides
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.schedule.contraction.window.frame import Frame

PIXELS, CHANNELS = 2, 3  # what vectors run along; 0 and 1 are the forms without a window

_TEXT = 130  # multiplications in the text of a tile's loop that are worth their compile time
_LEFT_OUT = (
    0.04  # the share of taps from which loops that leave out what is outside beat written-out ones
)
_PARALLEL_COST = 100_000.0
_PLACE = 3.0  # a vector of places copied, with its tests, in multiplications
_STREAMED = 1.5  # a line of filters that a task brings in from beyond L2
_TURN = 9.0  # a result turned from along channels to along the run, and stored


@dataclass(frozen=True, slots=True)
class WindowBlocking:
    """The decisions.

    `frame` numbers the ways to see the contraction as pixels times channels. Vectors of `lanes` elements run
    along `form`; a tile has `tile_rows` positions of the other and `tile_vectors` vectors. The `unrolled` innermost
    loops over terms are written out, the one around them `unroll` times. A task makes `lines` lines of
    `task_channels` channels (form CHANNELS) or panels of channels (form PIXELS).
    """

    form: int
    frame: int
    lanes: int
    tile_rows: int
    tile_vectors: int
    unrolled: int
    unroll: int
    lines: int
    task_channels: int
    parallel: int


def candidates(frames: Sequence[Frame], threads: int) -> Iterator[tuple[float, WindowBlocking]]:
    """The best blocking of every frame and form that can be, with its estimated cost."""
    for number, frame in enumerate(frames):
        for form in (CHANNELS, PIXELS):
            if can(frame, form):
                yield _best(frame, number, form, threads)


def can(f: Frame, form: int) -> bool:
    """Whether a frame's tiles can have their vectors along pixels, or along channels."""
    if form == CHANNELS:
        along = f.channels if f.has_contiguous_channels() else f.run
        return f.is_even_along(along)
    if f.has_contiguous_channels() or not f.is_even_along(f.run):
        return False
    filters = f.filter()
    plain = isinstance(filters, Load) and filters.mask is None
    if not plain or strides(filters, f.channels.at) is None:
        return False
    if f.window is None:
        return strides(f.pixel(), f.run.at) == {1}
    *outer, last = f.window.coordinates
    moving = [it for it in f.run.iters if int(it.extent) > 1]
    return all(last.step(it) > 0 and not any(c.step(it) for c in outer) for it in moving)


def _best(f: Frame, number: int, form: int, threads: int) -> tuple[float, WindowBlocking]:
    rows, columns = sides(f, form)
    lanes = min(f.lanes, 1 << (columns - 1).bit_length())
    registers = f.scope.target.vector_registers
    shares = []
    for _, tile_rows, vectors in cost.register_tiles(rows, columns, lanes, registers):
        unrolled, unroll = _unrolls(f, tile_rows * vectors)
        first = WindowBlocking(
            form, number, lanes, tile_rows, vectors, unrolled, unroll, f.line.extent, 0, 1
        )
        for lines in _divisions(f.line.extent, 16):
            for channels in channel_shares(f, first, threads):
                choice = replace(first, lines=lines, task_channels=channels)
                shares.append((estimate(f, choice, threads), -lines, -channels, choice))
    price, *_, best = min(shares, key=lambda s: s[:3])
    alone = estimate(f, best, 1)
    return (
        (alone, replace(best, parallel=0))
        if alone < _PARALLEL_COST or threads == 1
        else (price, best)
    )


def sides(f: Frame, form: int) -> tuple[int, int]:
    """The extents that rows and vectors of a tile divide."""
    return (
        (f.run.extent, f.channels.extent) if form == CHANNELS else (f.channels.extent, f.run.extent)
    )


def channel_shares(f: Frame, b: WindowBlocking, threads: int) -> Iterator[int]:
    """Channels, or panels of them, that a task may take."""
    if b.form == PIXELS:
        yield from _divisions(RowPanels.of(f.channels.extent, b.tile_rows).count, 2 * threads)
        return
    width = b.tile_vectors * b.lanes
    outside = f.batch.extent * f.stack.extent * f.line.extent
    most = (
        2 if outside > threads else 4
    ) * threads  # the more where lines do not make tasks enough
    for panels in _divisions(ceil(f.channels.extent / width), most):
        yield min(panels * width, f.channels.extent)


def _divisions(extent: int, most: int) -> list[int]:
    """Sizes of even shares of `extent`, for up to `most` shares."""
    return list(dict.fromkeys(ceil(extent / n) for n in range(1, min(extent, most) + 1)))


def _unrolls(f: Frame, tile: int) -> tuple[int, int]:
    """How many inner loops are written out whole, and how often the next one's body is."""
    unrolled, text = 0, tile
    for dimension in reversed(f.inner):
        if text * dimension.extent > _TEXT or f.outside(dimension) > _LEFT_OUT:
            break
        text *= dimension.extent
        unrolled += 1
    return unrolled, max(1, min(4, _TEXT // text)) if unrolled < len(f.inner) else 1


def places(f: Frame, lines: int) -> int:
    """Elements of a task's copy of the image."""
    if f.window is None:
        return 0
    moving = {it for d in (f.run, *f.inner) for it in d.iters}
    sizes = []
    for c in f.window.coordinates:
        spans = [abs(c.step(it)) * (int(it.extent) - 1) for it in moving]
        spans += [abs(c.step(it)) * (lines - 1) for it in f.line.iters]
        sizes.append(sum(spans) + 1)
    return prod(sizes)


def estimate(f: Frame, b: WindowBlocking, threads: int) -> float:
    """All of it, in multiplications of whole vectors; infinite where a task does not fit L2."""
    rows, columns = sides(f, b.form)
    panels = RowPanels.of(rows, b.tile_rows)
    width = b.tile_vectors * b.lanes
    sliver = f.depth * (width if b.form == CHANNELS else panels.tallest)
    copied, lines = places(f, b.lines), cost.lines(f.scope.target)
    if (copied + sliver) * f.dtype.bytes > f.scope.target.l2:
        return float("inf")
    if b.form == CHANNELS:
        share, shares = b.task_channels, ceil(columns / b.task_channels)
        vectors, far = ceil(share / b.lanes), sliver * f.dtype.bytes > f.scope.target.l1
        fed = cost.FED * lines if far else 0.0
        step = cost.block_step(panels, 0, panels.count, vectors, b.tile_vectors, fed)
        turned = 0.0 if f.has_contiguous_channels() else _TURN * rows * ceil(share / b.lanes)
    else:
        count, shares = b.task_channels, ceil(panels.count / b.task_channels)
        step = cost.block_step(panels, 0, count, ceil(columns / b.lanes), b.tile_vectors)
        turned = 0.0
    each = b.lines * (step * f.depth + turned) + _PLACE * copied / f.lanes + cost.TASK
    if f.depth * f.channels.extent * f.dtype.bytes > f.scope.target.l2 // 2:
        channels = share if b.form == CHANNELS else count * panels.tallest
        each += _STREAMED * lines * f.depth * channels / f.lanes
    tasks = f.batch.extent * f.stack.extent * ceil(f.line.extent / b.lines) * shares
    total = (ceil(tasks / threads) + (0.2 if threads > 1 else 0.0)) * each
    if b.form == CHANNELS and not f.has_constant_filters():
        packed = f.batch.extent * f.depth * ceil(columns / width) * width / b.lanes
        total += packed * cost.PACK_TRANSPOSED / threads + cost.TASK
    return total


def is_legal(f: Frame, b: WindowBlocking) -> bool:
    """Whether a blocking gives right code that keeps its sums in registers."""
    if b.form not in (PIXELS, CHANNELS) or b.parallel not in (0, 1) or not can(f, b.form):
        return False
    if min(b.lanes, b.tile_rows, b.tile_vectors, b.unroll, b.lines, b.task_channels) < 1:
        return False
    rows, columns = sides(f, b.form)
    panels = RowPanels.of(rows, b.tile_rows)
    needed = panels.tallest * b.tile_vectors + b.tile_vectors + 1
    if needed > f.scope.target.vector_registers or b.lanes not in lengths(f):
        return False
    if (b.tile_vectors - 1) * b.lanes >= columns or not 0 <= b.unrolled <= len(f.inner):
        return False
    if b.form == CHANNELS and panels.tallest > 2 * b.lanes:
        return False
    text = b.tile_rows * b.tile_vectors * b.unroll
    for dimension in f.inner[len(f.inner) - b.unrolled :]:
        text *= dimension.extent
    if text > 4 * _TEXT and (b.unrolled, b.unroll) != (0, 1):
        return False
    whole = f.channels.extent if b.form == CHANNELS else panels.count
    unit = b.tile_vectors * b.lanes if b.form == CHANNELS else 1
    even = b.task_channels == whole or b.task_channels % unit == 0
    return b.lines <= max(1, f.line.extent) and b.task_channels <= whole and even


def lengths(f: Frame) -> tuple[int, ...]:
    """Lengths of vectors worth trying."""
    return tuple(f.lanes >> k for k in range(f.lanes.bit_length()) if f.lanes >> k > 1) or (1,)


def around(frames: Sequence[Frame], here: WindowBlocking, threads: int) -> Iterator[WindowBlocking]:
    """Legal blockings one decision away, those of the other frames and forms included."""
    for _, other in candidates(frames, threads):
        yield other
    f = frames[here.frame]
    for choice in _moves(f, here, threads):
        if is_legal(f, choice):
            yield choice


def _moves(f: Frame, here: WindowBlocking, threads: int) -> Iterator[WindowBlocking]:
    if threads > 1:
        yield replace(here, parallel=1 - here.parallel)
    for unrolled in range(len(f.inner) + 1):
        for unroll in (1, 2, 4):
            yield replace(here, unrolled=unrolled, unroll=unroll)
    for lines in _divisions(f.line.extent, 16):
        yield replace(here, lines=lines)
    for lanes in lengths(f):
        yield from _with_shares(f, replace(here, lanes=lanes), threads)
    registers = f.scope.target.vector_registers
    rows, _ = sides(f, here.form)
    for vectors in range(1, 5):
        tallest = min((registers - vectors - 1) // vectors, rows)
        for tile_rows in dict.fromkeys((tallest, tallest - 1, tallest * 3 // 4, tallest // 2)):
            yield from _with_shares(
                f, replace(here, tile_rows=tile_rows, tile_vectors=vectors), threads
            )


def _with_shares(f: Frame, here: WindowBlocking, threads: int) -> Iterator[WindowBlocking]:
    if here.tile_rows > 0:
        for share in channel_shares(f, here, threads):
            yield replace(here, task_channels=share)
