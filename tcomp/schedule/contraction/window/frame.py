"""A contraction seen as pixels times channels: which side has the window, and what runs along what.

`pixels` are the iterators of the side that is read through a window (an image), `channels` those of the
other (filters). The last pixels are a `run`, side by side in memory; the iterator before them counts
`lines`, and those further out are the `stack`. A register tile is a piece of a run times some channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Buffer, Expr, Load, Space
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.contraction.dimensions import Dimension, Scope, is_affine
from tcomp.schedule.contraction.geometry import Operand, operand_of, output_address, output_of
from tcomp.schedule.contraction.match import Contraction
from tcomp.schedule.contraction.window.coordinates import Window, window_of
from tcomp.schedule.storage import Placement

_MOST_LINES = 1024  # over which it is counted what lies outside


@dataclass(frozen=True, slots=True)
class Frame:
    """The dimensions of a contraction with a window, and templates over their counters.

    `image` is read through `window`, or as it lies where that is None.
    """

    contraction: Contraction
    scope: Scope
    image: t.Expr
    window: Window | None
    filters: Operand
    batch: Dimension
    stack: Dimension
    line: Dimension
    run: Dimension
    channels: Dimension
    inner: tuple[Dimension, ...]
    output: Placement
    address: Int

    @property
    def dtype(self) -> DType:
        """The type of the products and their sum."""
        return self.contraction.total.dtype

    @property
    def lanes(self) -> int:
        """Elements of the longest vector."""
        return self.scope.target.lanes(self.dtype.bits)

    @property
    def depth(self) -> int:
        """Terms of a sum."""
        depth = 1
        for dimension in self.inner:
            depth *= dimension.extent
        return depth

    @property
    def around(self) -> tuple[Dimension, ...]:
        """Dimensions that loops around the tiles run over."""
        return (self.batch, self.stack, self.line)

    def step(self, dimension: Dimension) -> int:
        """Elements of the output between neighbours along a dimension; 0 where there is no constant one."""
        return self.address.coefficient(dimension.at) or 0

    def has_contiguous_channels(self) -> bool:
        """Whether results are better stored along channels than along the run."""
        return self.step(self.channels) == 1 or self.run.extent == 1

    def epilogue(self, along: Dimension) -> tuple[Expr, Load]:
        """The definition's body, and what in it stands for the finished sum, as a load along a dimension."""
        total = self.contraction.total
        sums = Load(Buffer("sums", total.dtype, 1, Space.PRIVATE), Int.of(along.at))
        every = [*self.around, self.run, self.channels]
        return self.scope.template(self.contraction.definition.body, every, {total: sums}), sums

    def is_even_along(self, dimension: Dimension) -> bool:
        """Whether results and what the epilogue reads step evenly along a dimension."""
        return self.step(dimension) > 0 and is_affine(self.epilogue(dimension)[0], dimension.at)

    def guarded_axes(self) -> list[tuple[Int, t.Axis]]:
        """The image's indices over the counters of loops, with their axes, where outside is 0; else none."""
        if self.window is None or not isinstance(self.window.value, t.Read):
            return []
        read = self.window.value
        if not isinstance(read.otherwise, t.Const) or read.otherwise.value != 0:
            return []
        points = dict[Iter, Int]()
        for each in (*self.around, self.run, *self.inner):
            points |= each.point()
        return [
            (coordinate.index.sub(points), axis)
            for coordinate in self.window.coordinates
            for axis, place in zip(read.tensor.axes, read.index, strict=True)
            if place is Int.of(coordinate.at)
        ]

    def inside(self, dimension: Dimension) -> tuple[Int, Int] | None:
        """From where to where an inner counter stays inside the image, over the counters of loops around; None
        where that is not known, or where a guard's value is not 0 or depends on the run."""
        counter, around = dimension.at, {d.at for d in (*self.around, dimension)}
        low, high = Int.of(0), Int.of(dimension.extent)
        for index, axis in self.guarded_axes():
            step = index.coefficient(counter)
            if not step or not index.leaves() <= around:
                continue
            first, stop = _between(axis, index - Int.of(counter) * step, step)
            low, high = low.max(first), high.min(stop)
        if (low, high) == (Int.of(0), Int.of(dimension.extent)):
            return None
        return low, high.max(low)

    def outside(self, dimension: Dimension) -> float:
        """The share of an inner dimension, over all lines, that lies outside the image."""
        inside = self.inside(dimension)
        if inside is None:
            return 0.0
        count = inside[1] - inside[0]
        moving = [d for d in self.around if d.at in count.leaves()]
        if prod(d.extent for d in moving) > _MOST_LINES:
            return 0.0
        lines = product(*(range(d.extent) for d in moving))
        counts = [
            int(count.sub({d.at: Int.of(n) for d, n in zip(moving, line, strict=True)}))
            for line in lines
        ]
        return 1.0 - sum(counts) / (len(counts) * dimension.extent)

    def filter(self) -> Expr:
        """An element of the filters over the counters of batch, channels and inner."""
        return self._template(self._other(), [self.batch, self.channels, *self.inner])

    def pixel(self) -> Expr:
        """An element of the image over the counters of all dimensions but channels."""
        return self._template(self.image, [*self.around, self.run, *self.inner])

    def has_constant_filters(self) -> bool:
        """Whether the filters are known before any call."""
        reads = {n.tensor for n in t.postorder(self._other()) if isinstance(n, t.Read)}
        return reads <= self.scope.constants

    def _template(self, expr: t.Expr, dimensions: Sequence[Dimension]) -> Expr:
        return self.scope.template(expr, dimensions)

    def _other(self) -> t.Expr:
        c = self.contraction
        return c.right if self.image is c.left else c.left


def _between(axis: t.Axis, base: Int, step: int) -> tuple[Int, Int]:
    """The first n, and the one behind the last, for which base + step * n is on an axis."""
    low, high = axis
    if step > 0:
        return -((base - low) // step), -((base - high) // step)
    return -((high - 1 - base) // -step), (base - low) // -step + 1


def frames(contraction: Contraction, scope: Scope) -> list[Frame]:
    """Every way to see the contraction so: a side with a window, or the one that lies along the output."""
    c = contraction
    found = []
    for image, pixels, channels in ((c.left, c.rows, c.columns), (c.right, c.columns, c.rows)):
        if not pixels or not channels:
            continue
        window = window_of(image, (*c.batch, *pixels, *c.inner))
        ways = [window] if window is not None and window.overlaps else []
        for through in (*ways, *([None] if image is c.right else [])):
            frame = _frame(c, scope, image, through, pixels, channels)
            if frame is not None:
                found.append(frame)
    return found


def _frame(
    c: Contraction, scope: Scope, image: t.Expr, window: Window | None,
    pixels: tuple[Iter, ...], channels: tuple[Iter, ...],
) -> Frame | None:  # fmt: skip
    batch, own = scope.dimension(c.batch, "batch"), scope.dimension(channels, "channel")
    inner = tuple(scope.dimension([it], "k") for it in c.inner)
    start = _start_of_run(scope, image, window, pixels, [batch, *inner])
    if start is None:
        return None
    run = scope.dimension(pixels[start:], "x")
    around = pixels[:start]
    stack, line = scope.dimension(around[:-1], "stack"), scope.dimension(around[-1:], "line")
    if output_address(c, scope, [batch, stack, line, run, own]).coefficient(own.at) is None:
        return None
    filters = operand_of(c.right if image is c.left else c.left, c.inner, own, (batch,), scope)
    return Frame(
        c, scope, image, window, filters, batch, stack, line, run, own, inner,
        output_of(c, scope), output_address(c, scope, [batch, stack, line, run, own]),
    )  # fmt: skip


def _start_of_run(
    scope: Scope, image: t.Expr, window: Window | None, pixels: tuple[Iter, ...], rest: list[Dimension]
) -> int | None:  # fmt: skip
    """The first pixel iterator of the run: of a window the last that moves, else as many as lie evenly."""
    if window is not None:
        longer = [k for k, it in enumerate(pixels) if int(it.extent) > 1]
        return longer[-1] if longer else len(pixels) - 1
    for start in range(len(pixels)):
        around, run = scope.dimension(pixels[:start], "stack"), scope.dimension(pixels[start:], "x")
        value = scope.template(image, [*rest, around, run])
        if isinstance(value, Load) and value.mask is None and is_affine(value, run.at):
            return start
    return None
