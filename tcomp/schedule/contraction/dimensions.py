"""Several iterators run through as one counter, and what expressions look like along it.

Operands and epilogue are translated once, over the counters of `Dimension`s; a register tile or a packer
then substitutes positions for the counters. An expression is *affine* along a counter if every address in
it is: then vectors can run along it. `(a, b)` of a dense tensor merge so; pixels of a padded image do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tcomp.diagnostics import InternalError
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Expr, Gather, IntValue, Load, LoopVar, postorder
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.contraction.match import extent
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Storage
from tcomp.schedule.translate import Site, translate
from tcomp.target import Target


@dataclass(frozen=True, slots=True)
class Dimension:
    """Iterators as one counter 0, 1, ... with the last iterator fastest; `at` stands for the counter."""

    iters: tuple[Iter, ...]
    at: LoopVar

    @property
    def extent(self) -> int:
        return extent(self.iters)

    def point(self) -> dict[Iter, Int]:
        """Where the iterators are when the counter is at `at`."""
        positions: dict[Iter, Int] = {}
        rest = Int.of(self.at)
        for it in reversed(self.iters):
            positions[it] = it.lo + rest % int(it.extent)
            rest = rest // int(it.extent)
        return positions


@dataclass(frozen=True, slots=True)
class Scope:
    """What lowering needs to know of its surroundings: `point` places the iterators of loops around,
    `constants` have values that are bound before any call."""

    storage: Storage
    faults: Faults
    names: Names
    target: Target
    point: Mapping[Iter, Int] = field(default_factory=dict)
    constants: frozenset[t.Tensor] = frozenset()

    def dimension(self, iters: Sequence[Iter], stem: str) -> Dimension:
        """A dimension with a fresh counter."""
        last = max(0, extent(tuple(iters)) - 1)
        return Dimension(tuple(iters), self.names.loop(stem, 0, last))

    def template(
        self,
        expr: t.Expr,
        dimensions: Sequence[Dimension],
        known: Mapping[t.Expr, Expr] | None = None,
    ) -> Expr:
        """`expr` as a scalar over the dimensions' counters."""
        site = Site(self.storage, self.faults, known=dict(known or {}))
        point = dict(self.point)
        for dimension in dimensions:
            point |= dimension.point()
        value = translate(expr, point, site)
        if site.block:
            raise InternalError("a contraction's operand needs a run-time check", code="TC099")
        return value


def strides(expr: Expr, counter: LoopVar) -> set[int] | None:
    """The strides of the expression's loads along a counter, those of words in words (rounded up); None
    where some address is not affine."""
    found: set[int] = set()
    for node in postorder(expr):
        match node:
            case Load(_, index, _, _, _, _):
                step = index.coefficient(counter)
                if step is None:
                    return None
                found.add(-(-step // node.group))
            case IntValue(base, _, _, _) | Gather(_, base, _, _):
                if base.coefficient(counter) is None:
                    return None
    return found


def is_affine(expr: Expr, counter: LoopVar) -> bool:
    """Whether every address and index in the expression is affine along the counter."""
    return strides(expr, counter) is not None


def segments(
    iters: Sequence[Iter], scope: Scope, stem: str, build: Callable[[list[Dimension]], list[Expr]]
) -> list[Dimension]:
    """The fewest dimensions over `iters`, in order, along each of which all that `build` makes is affine."""
    result: list[Dimension] = []
    start = 0
    while start < len(iters):
        for end in range(len(iters), start, -1):
            merged = scope.dimension(iters[start:end], stem)
            rest = [scope.dimension([it], stem) for it in iters[end:]]
            if end == start + 1 or all(
                is_affine(e, merged.at) for e in build([*result, merged, *rest])
            ):
                result.append(merged)
                start = end
                break
    return result or [scope.dimension((), stem)]


def flat(dimensions: Sequence[Dimension]) -> Int:
    """The position in the dimensions' product, the last one fastest."""
    position = Int.of(0)
    for dimension in dimensions:
        position = position * dimension.extent + Int.of(dimension.at)
    return position


def positions(dimensions: Sequence[Dimension], position: Int) -> dict[LoopVar, Int]:
    """The dimensions' counters at a position of their product."""
    place: dict[LoopVar, Int] = {}
    for dimension in reversed(dimensions[1:]):
        place[dimension.at] = position % dimension.extent
        position = position // dimension.extent
    return place | {dimensions[0].at: position}
