"""A contraction in memory: its dimensions, and its operands and epilogue as templates over their counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Buffer, Expr, Load, Space, rewrite
from tcomp.ir.tensor import nodes as t
from tcomp.ir.tensor.orientation import PHASES, by_axis
from tcomp.schedule.contraction.dimensions import (
    Dimension,
    Scope,
    is_affine,
    segments,
    strides,
)
from tcomp.schedule.contraction.match import Contraction, extent
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.schedule.storage import Placement
from tcomp.target import Target

_LINE = 64  # bytes of a cache line
_LONG_RUN = 512  # positions of a run that tasks divide well
_LONG = 8  # positions in a dimension that vectors fill well enough
_NEAR = 4  # elements apart that are still picked out of whole vectors


@dataclass(frozen=True, slots=True)
class Operand:
    """One side: `value` is a scalar over the counters of batch, its own dimension and `inner`.

    `runs` divides its own dimension into counters along which addresses are affine.
    """

    own: Dimension
    value: Expr
    inner: tuple[Dimension, ...]
    runs: tuple[Dimension, ...]
    by_run: Expr  # the same value over the counters of `runs`

    def is_plain(self) -> bool:
        """Whether the value is one load without a mask, of the type in which it is multiplied."""
        return isinstance(self.value, Load) and self.value.mask is None

    def is_affine_along(self, dimension: Dimension) -> bool:
        """Whether addresses are affine along the side's own dimension, or one of `inner`."""
        return is_affine(self.value, dimension.at)

    def step_own(self) -> int:
        """The longest stride of its loads along its whole own dimension, 0 where there is no constant one."""
        return max(strides(self.value, self.own.at) or {0})

    def step_inner(self) -> int:
        """The longest stride of its loads along the last inner dimension."""
        return max(strides(self.value, self.inner[-1].at) or {0})

    @property
    def along(self) -> int:
        """The number of the inner dimension along which vectors run best: the last, or a long one before it
        that is contiguous where the last is not."""
        last = len(self.inner) - 1
        fitness = [_unfitness(strides(self.value, d.at)) for d in self.inner]
        better = [k for k, d in enumerate(self.inner) if not fitness[k] and d.extent >= _LONG]
        return better[-1] if fitness[last] and better else last

    @property
    def by_lines(self) -> bool:
        """Whether it is packed by runs of its own dimension: where that is not affine as a whole (pixels of a
        padded image), and inner dimensions are not read better."""
        run = _unfitness(strides(self.by_run, self.runs[-1].at))
        inner = _unfitness(strides(self.value, self.inner[self.along].at))
        return not self.is_affine_along(self.own) and run <= inner

    @property
    def across(self) -> int | None:
        """The number of the run along which it is contiguous, where that is a long one and not the last."""
        steps = [strides(self.by_run, run.at) for run in self.runs]
        near = [
            k
            for k, run in enumerate(self.runs[:-1])
            if not _unfitness(steps[k]) and run.extent >= _LONG
        ]
        return near[-1] if near and _unfitness(steps[-1]) and self.is_plain() else None

    def runs_along_own(self) -> bool:
        """Whether vectors run better along the side's own dimension than along an inner one: where that is short,
        vectors along it are nearly empty."""
        steps, along = strides(self.value, self.own.at), self.inner[self.along]
        near = steps is not None and max(steps, default=0) <= _NEAR and along.extent < _LONG
        return near or _unfitness(steps) <= _unfitness(strides(self.value, along.at))

    def unit(self) -> int:
        """Positions of inner in one step of the first inner dimension."""
        return prod(d.extent for d in self.inner[1:])

    def run_unit(self) -> int:
        """Positions in one step of the first run: tasks are whole multiples of it, because packers loop
        over the runs (planes of lines of pixels: whole planes)."""
        return prod(run.extent for run in self.runs[1:])


@dataclass(frozen=True, slots=True)
class Geometry:
    """A contraction's dimensions and templates.

    The output is affine along `columns`, a suffix of the columns class; what is left of that class is
    `spread`, looped over outside. `sums` stands in `epilogue` for the finished sum, as a load along
    `columns`; the epilogue's value belongs at `address` of `output`.
    """

    contraction: Contraction
    scope: Scope
    batch: Dimension
    spread: Dimension
    rows: Dimension
    columns: Dimension
    inner: int
    left: Operand
    right: Operand
    epilogue: Expr
    sums: Load
    output: Placement
    address: Int

    @property
    def dtype(self) -> DType:
        """The type of the products and their sum."""
        return self.contraction.total.dtype

    def spare_registers(self, right: int) -> int:
        """Vector registers that a tile needs beside its sums, a row of right and one of left, where right
        reaches it that way: one for a product that is not added at once."""
        return 0 if self.dtype.is_float and self.scope.target.has_fma else 1

    @property
    def lanes(self) -> int:
        """Elements of the longest vector."""
        return self.scope.target.lanes(self.dtype.bits)

    def step(self) -> int:
        """Elements between neighbouring columns of the output."""
        return self.address.coefficient(self.columns.at) or 1

    @property
    def row_unit(self) -> int:
        """How many neighbouring rows fill the places between the columns of the output, so that a tile that
        has all of them stores whole vectors."""
        step, iters = self.step(), self.rows.iters
        phases = next((int(it.extent) for it in reversed(iters) if int(it.extent) > 1), 1)
        return step if 1 < step == phases <= PHASES else 1

    def row_panels(self, tallest: int) -> RowPanels:
        """The rows in panels of at most so many."""
        return RowPanels.of(self.rows.extent, tallest, self.row_unit)

    def around(self) -> tuple[Dimension, ...]:
        """The dimensions that loops outside the tiles run over."""
        return (self.batch, self.spread)

    def inner_dimensions(self, direct: Sequence[tuple[t.Expr, Dimension]]) -> list[Dimension]:
        """The fewest dimensions of inner along which the given factors (with their own dimension) are affine."""

        def build(inner: list[Dimension]) -> list[Expr]:
            return [self.factor(expr, own, inner) for expr, own in direct]

        return segments(self.contraction.inner, self.scope, "k", build)

    def factor(self, expr: t.Expr, own: Dimension, inner: Sequence[Dimension]) -> Expr:
        """One side's value over the counters of its own dimension and of `inner`."""
        return self.scope.template(expr, [*self.around(), own, *inner])

    def has_constant_right(self) -> bool:
        """Whether right is known before any call, and packed for all of them."""
        reads = {n.tensor for n in t.postorder(self.contraction.right) if isinstance(n, t.Read)}
        return bool(reads) and reads <= self.scope.constants and self.batch.extent == 1

    def output_is_far(self) -> bool:
        """Whether all of the output does not stay in L2."""
        size = self.batch.extent * self.spread.extent * self.rows.extent * self.columns.extent
        return size * self.output.buffer.dtype.bytes > self.scope.target.l2

    def holds_sums(self) -> bool:
        """Whether the output has the type of the sums, and can keep partial ones."""
        return self.output.buffer.dtype is self.dtype


def survey(contraction: Contraction, scope: Scope) -> Geometry:
    """Finds the dimensions and templates of a contraction whose tensors are placed by `scope.storage`."""
    batch = scope.dimension(contraction.batch, "batch")
    rows = scope.dimension(contraction.rows, "row")
    for start in range(len(contraction.columns)):
        outside = by_axis(contraction.columns[:start], contraction.right)
        spread = scope.dimension(outside, "spread")
        columns = scope.dimension(contraction.columns[start:], "column")
        around = [batch, spread, rows, columns]
        epilogue, sums = _epilogue(contraction, scope, around)
        address = output_address(contraction, scope, around)
        step = address.coefficient(columns.at)
        if step is None or step <= 0 or not is_affine(epilogue, columns.at):
            continue
        right = operand_of(contraction.right, contraction.inner, columns, (batch, spread), scope)
        if not _is_better_apart(right, contraction.columns[start + 1 :], scope.target):
            break
    else:
        raise InternalError("a contraction's output is not affine along its columns", code="TC099")
    output = output_of(contraction, scope)
    inner = 1
    for it in contraction.inner:
        inner *= int(it.extent)
    left = operand_of(contraction.left, contraction.inner, rows, (batch, spread), scope)
    return Geometry(
        contraction, scope, batch, spread, rows, columns, inner, left, right,
        epilogue, sums, output, address,
    )  # fmt: skip


def _is_better_apart(right: Operand, rest: tuple[Iter, ...], target: Target) -> bool:
    """Whether the first of the columns' iterators is better outside of tiles: where right is contiguous along none of
    them or of inner, or along a later one (abcd-deca-be 5.4 ms), and the rest fill vectors; or where the rest are a
    long run (abcd-ae-cdbe)."""
    lanes = target.lanes(right.value.dtype.bits)
    if len(right.runs) < 2 or not right.is_plain() or extent(rest) < lanes:
        return False
    if strides(right.value, right.inner[right.along].at) == {1}:
        return len(right.runs) == 2 and right.runs[-1].extent >= _LONG_RUN
    first, *_, last = [max(strides(right.by_run, run.at) or {0}) for run in right.runs]
    return first != 1 and last * right.value.dtype.bytes >= _LINE


def replace_sums(value: Expr, geometry: Geometry, vector: Expr) -> Expr:
    """A vector epilogue with the finished sums in place."""
    buffer = geometry.sums.buffer

    def rule(node: Expr) -> Expr | None:
        return vector if isinstance(node, Load) and node.buffer is buffer else None

    return rewrite(value, rule)


def _epilogue(contraction: Contraction, scope: Scope, around: list[Dimension]) -> tuple[Expr, Load]:
    total = contraction.total
    sums = Load(Buffer("sums", total.dtype, 1, Space.PRIVATE), Int.of(around[-1].at))
    return scope.template(contraction.definition.body, around, {total: sums}), sums


def output_of(contraction: Contraction, scope: Scope) -> Placement:
    placement = scope.storage[contraction.definition.tensor]
    if not isinstance(placement, Placement):
        raise InternalError("a contraction's output must be in memory", code="TC099")
    return placement


def output_address(contraction: Contraction, scope: Scope, around: list[Dimension]) -> Int:
    point: dict[Iter, Int] = dict(scope.point)
    for dimension in around:
        point |= dimension.point()
    return output_of(contraction, scope).address(
        [point.get(it, Int.of(it)) for it in contraction.definition.iters]
    )


def operand_of(
    expr: t.Expr,
    inner: tuple[Iter, ...],
    own: Dimension,
    around: tuple[Dimension, ...],
    scope: Scope,
) -> Operand:
    def build(own_runs: list[Dimension], depths: list[Dimension]) -> list[Expr]:
        return [scope.template(expr, [*around, *own_runs, *depths])]

    single = [scope.dimension([it], "k") for it in inner]
    runs = segments(own.iters, scope, "run", lambda d: build(d, single))
    depths = segments(inner, scope, "k", lambda d: build(runs, d))
    value = scope.template(expr, [*around, own, *depths])
    return Operand(
        own, value, tuple(depths), tuple(runs), scope.template(expr, [*around, *runs, *depths])
    )


def _unfitness(steps: set[int] | None) -> int:
    """How badly vectors run along a counter: 0 contiguous, 1 some strided loads, 2 gathers."""
    if steps is None:
        return 2
    return 0 if steps <= {0, 1} else 1
