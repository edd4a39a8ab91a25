"""Layout transformation: the axes of an intermediate product in the order in which it is made fastest."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition, Expr, Read, postorder
from tcomp.passes.derivation.estimate import mismatches, occurrence
from tcomp.passes.derivation.index.reindex import reindexed


def lay_out(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[x, y] = f(x, y)  =  U[y, x] = f(x, y); T[x, y] = U[y, x], for regular products of matrices.

    Batch, then the iterators of one factor, then those of the other, each in the order of that factor's
    axes: rows and columns are then ranges of memory. Readers take their guards to the new axes.
    """
    found = occurrence(definition)
    if found is None or mismatches(definition):
        return
    sides = ((found.left, found.rows), (found.right, found.columns))
    for (rows_of, rows), (columns_of, columns) in (sides, sides[::-1]):
        order = (*found.batch, *_in_order(rows_of, rows), *_in_order(columns_of, columns))
        idle = tuple(it for it in definition.iters if it not in order)
        if (*idle, *order) == definition.iters:
            continue
        made = reindexed(
            definition,
            (*idle, *order),
            {},
            tuple(map(Int.of, (*idle, *order))),
            set(taken),
            onto=True,
        )
        if made is not None:
            yield made


def _in_order(factors: tuple[Expr, ...], iters: tuple[Iter, ...]) -> tuple[Iter, ...]:
    """Iterators by the axis of a read in which they occur first, larger steps first."""
    places: dict[Iter, tuple[int, int]] = {}
    for node in (n for f in factors for n in postorder(f) if isinstance(n, Read)):
        for axis, index in enumerate(node.index):
            for it in iters:
                if it in index.leaves():
                    places.setdefault(it, (axis, -abs(index.coefficient(it) or 0)))
    return tuple(sorted(iters, key=lambda it: places.get(it, (0, 0))))
