"""Which of a product's output iterators vectors run along."""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.integer import Iter
from tcomp.ir.tensor.nodes import Expr, Read, postorder

LINE = 16  # elements of a cache line
PHASES = 4  # the longest innermost range whose vectors are interleaved when they are stored


def vector_iter(output: Sequence[Iter], factors: Sequence[Expr]) -> Iter | None:
    """The innermost iterator, or the one around it where that one is a short range of phases.

        Y[o, x, p in 0:2] = sum[c](F[c, o, p] * I[c, x])

    Vectors along p would be nearly empty. Those along x are contiguous in I, and are interleaved with those
    of the other phases when they are stored.
    """
    several = [it for it in reversed(output) if int(it.extent) > 1]
    if len(several) > 1 and int(several[0].extent) <= min(PHASES, int(several[1].extent)):
        phase, outer = several[:2]
        along = [f for f in factors if outer in f.free_atoms()]
        apart = any(phase in f.free_atoms() for f in factors if f not in along)
        if apart and any(_runs_along(f, outer) for f in along):
            return outer
    return several[0] if several else None


def near_last(
    iters: Sequence[Iter], factor: Expr, inner: Sequence[Iter], run: int
) -> tuple[Iter, ...]:
    """Iterators of a factor, that one last along which it is contiguous, unless it is so along an inner one.

    A[d, e, k, a] with iterators a, d, e and inner k: a tile over d, e, a takes whole lines of memory. Where a row of
    the output has a `run` that is no line, the order is d, a, e: neighbouring rows then fill its lines.
    """
    order = list(iters)
    if not any(_runs_along(factor, it) for it in inner):
        for it in iters:
            if _runs_along(factor, it):
                order.remove(it)
                order.insert(len(order) - int(run < LINE and it is not iters[-1]), it)
    return tuple(order)


def by_axis(iters: Sequence[Iter], factor: Expr) -> tuple[Iter, ...]:
    """Iterators in the order of the axes along which a factor moves with them, so that neighbours among their
    points share lines of memory: a, b as b, a for A[d, b, e, a]."""
    places: dict[Iter, int] = {}
    for node in postorder(factor):
        for axis, index in enumerate(node.index if isinstance(node, Read) else ()):
            places |= {it: axis for it in iters if index.coefficient(it) != 0}
    return tuple(sorted(iters, key=lambda it: places.get(it, -1)))


def _runs_along(factor: Expr, it: Iter) -> bool:
    """Whether some read of a factor is contiguous along an iterator."""
    return any(
        node.index[-1].coefficient(it) == 1
        and all(index.coefficient(it) == 0 for index in node.index[:-1])
        for node in postorder(factor)
        if isinstance(node, Read) and node.index
    )
