"""Values of a tensor expression at several points at once, its reductions as loops before them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from tcomp.ir.dtypes import boolean, i32
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Const, Expr, For, IntValue, LoopVar, Op, Stmt
from tcomp.ir.loop.rewriting import substitute_block
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.accumulate import Accumulator, combine, finish, identity, start
from tcomp.schedule.choice import ReduceChoice
from tcomp.schedule.conditions import choose
from tcomp.schedule.points import Kernel, Point
from tcomp.schedule.tiles import Axis
from tcomp.schedule.translate import Shared, translate
from tcomp.schedule.vectorize import vectorize_block

_IDEMPOTENT = frozenset({"max", "min", "any", "all", "argmax", "argmin"})


def evaluate(
    expr: t.Expr, points: Sequence[Point], kernel: Kernel, block: list[Stmt]
) -> list[Expr]:
    """The scalar value of `expr` at each point. Loops of its reductions are appended to `block`.

    A reduction inside another one that does not depend on the outer's iterators is computed before it.
    """
    for reduce in _independent_reductions(expr):
        if reduce not in points[0].known:
            values = _reduce(reduce, points, kernel, block)
            points = [p.knowing(reduce, v) for p, v in zip(points, values, strict=True)]
    plain = not any(
        p.known or p.registers for p in points
    )  # positions are all that tells points apart
    shared: Shared | None = {} if plain and len(points) > 1 else None
    return [translate(expr, p.position, kernel.site(p, block), shared) for p in points]


def _independent_reductions(expr: t.Expr) -> list[t.Reduce]:
    """Reductions that depend on no iterator of another, inner ones first."""
    found = [node for node in t.postorder(expr) if isinstance(node, t.Reduce)]
    bound = {it for reduce in found for it in reduce.iters}
    return [reduce for reduce in found if not reduce.free_atoms() & bound]


def _reduce(
    reduce: t.Reduce, points: Sequence[Point], kernel: Kernel, block: list[Stmt]
) -> list[Expr]:
    choice = kernel.reductions.get(reduce, ReduceChoice())
    if any(it.lo is it.hi for it in reduce.iters):
        return [identity(reduce)] * len(points)
    if choice.unrolled == len(reduce.iters) and not reduce.op.startswith("arg"):
        return _unrolled(reduce, points, kernel, block)
    vector = choice.vector >= 0
    chains = [
        [start(reduce, kernel.names, choice.lanes if vector else 1, block) for _ in range(each)]
        for each in [choice.chains] * len(points)
    ]
    block.extend(_Loops(reduce, choice, kernel, chains).build(points))
    return [finish(reduce, each) for each in chains]


def _unrolled(
    reduce: t.Reduce, points: Sequence[Point], kernel: Kernel, block: list[Stmt]
) -> list[Expr]:
    """All terms side by side, joined from left to right."""
    first, *rest = _positions(reduce.iters)
    totals = evaluate(reduce.body, [p.at(first) for p in points], kernel, block)
    for position in rest:
        terms = evaluate(reduce.body, [p.at(position) for p in points], kernel, block)
        totals = [combine(reduce.op, a, b) for a, b in zip(totals, terms, strict=True)]
    return totals


def _positions(iters: Sequence[Iter]) -> list[dict[Iter, Int]]:
    ranges = [range(int(it.lo), int(it.hi)) for it in iters]
    return [dict(zip(iters, map(Int.of, each), strict=True)) for each in product(*ranges)]


class _Loops:
    """The loops of one reduction that update its accumulators."""

    def __init__(
        self,
        reduce: t.Reduce,
        choice: ReduceChoice,
        kernel: Kernel,
        accumulators: Sequence[Sequence[Accumulator]],
    ) -> None:
        self.reduce, self.choice, self.kernel = reduce, choice, kernel
        self.accumulators = accumulators
        iters = list(reduce.iters)
        run: list[Iter] = []
        if choice.vector >= 0:
            run = iters[choice.vector - choice.merged : choice.vector + 1]
            del iters[choice.vector - choice.merged : choice.vector + 1]
        cut = len(iters) - choice.unrolled
        self.unrolled = _positions(iters[cut:])
        self.outer = iters[:cut]
        if not run and self.outer:
            run = [self.outer.pop()]
        self.inner = Axis(tuple(run)) if run else None

    def build(self, points: Sequence[Point]) -> list[Stmt]:
        """All loops, around updates at `points`."""
        position, loops = {}, []
        for it in self.outer:
            var = self.kernel.names.loop(it.name, int(it.lo), int(it.hi) - 1)
            position[it] = Int.of(var)
            loops.append((var, it))
        block = self._inner([p.at(position) for p in points])
        for var, it in reversed(loops):
            block = [For(var, it.lo, it.hi, tuple(block))]
        return block

    def _inner(self, points: Sequence[Point]) -> list[Stmt]:
        """The innermost loop: whole steps of all chains, then of one chain, then what is left over."""
        if self.inner is None:
            return self._updates(points, 1, None)
        it = self.inner.counter
        lo, hi = int(it.lo), int(it.hi)
        width, block = self._lanes, list[Stmt]()
        many = self.choice.chains, self.choice.steps
        for chains, steps in dict.fromkeys((many, (1, 1))):
            step = width * chains * steps
            end = lo + (hi - lo) // step * step
            if end > lo:
                block += self._loop(points, it, lo, end, step, chains)
            lo = end
        if lo < hi:
            # The last whole vector again: lanes already taken in count only where that does no harm.
            block += self._step(points, it, Int.of(hi - width), 1, width - (hi - lo), width)
        return block

    @property
    def _lanes(self) -> int:
        return self.choice.lanes if self.choice.vector >= 0 else 1

    def _loop(
        self, points: Sequence[Point], it: Iter, lo: int, end: int, step: int, chains: int
    ) -> list[Stmt]:
        if end - lo == step:
            return self._step(points, it, Int.of(lo), chains, 0, step)
        var = self.kernel.names.loop(it.name, lo, end - step)
        body = self._step(points, it, Int.of(var), chains, 0, step)
        return [For(var, Int.of(lo), Int.of(end), tuple(body), step)]

    def _step(
        self, points: Sequence[Point], it: Iter, first: Int, chains: int, skip: int, taken: int
    ) -> list[Stmt]:
        """Updates at the `taken` positions from `first` on, without the first `skip` lanes."""
        width = self._lanes
        if width == 1:
            block: list[Stmt] = []
            for each in range(0, taken, chains):
                flats = [first + each + c for c in range(chains)]
                spread = [p.at(self._place(flat)) for p in points for flat in flats]
                block += self._updates(spread, chains, None)
            return block
        lane = self.kernel.names.loop("lane", 0, width - 1)
        flats = [first + c * width + Int.of(lane) for c in range(chains)]
        spread = [p.at(self._place(flat)) for p in points for flat in flats]
        keep = None
        if skip and self.reduce.op not in _IDEMPOTENT:
            keep = Op("ge", (IntValue(Int.of(lane), i32), Const(skip, i32)), boolean)
        scalar = self._updates(spread, chains, keep)
        wide = frozenset(
            type(local)(local.name, local.dtype)
            for row in self.accumulators
            for accumulator in row
            for local in accumulator.locals
        )
        return list(_widened(scalar, lane, width, wide))

    def _place(self, flat: Int) -> dict[Iter, Int]:
        return {} if self.inner is None else self.inner.position(flat)

    def _updates(self, points: Sequence[Point], chains: int, keep: Expr | None) -> list[Stmt]:
        block: list[Stmt] = []
        for position in self.unrolled:
            here = [p.at(position) for p in points]
            terms = evaluate(self.reduce.body, here, self.kernel, block)
            for k, term in enumerate(terms):
                accumulator = self.accumulators[k // chains][k % chains]
                if keep is not None:
                    term = choose(keep, term, identity(self.reduce))
                place = here[k].position[self.reduce.iters[0]]
                accumulator.update(term, place, block)
        return block


def _widened(
    block: Sequence[Stmt], lane: LoopVar, width: int, wide: frozenset[object]
) -> Sequence[Stmt]:
    vectors = vectorize_block(block, lane, width, wide=wide)  # type: ignore[arg-type]
    return substitute_block(vectors, {lane: Int.of(0)})
