"""Tables: definitions that hold a different expression for each position of a short iterator.

    V[a, t] = where(a == 0, d[2*t] - d[2*t + 2], where(a == 1, d[2*t + 1] + d[2*t + 2], ...))

Code generation makes all positions of such an iterator side by side, where every condition is decided and
what the expressions have in common is computed once. So a table stays a definition of its own: inlined at
an unknown position it would evaluate all of its expressions.
"""

from __future__ import annotations

from functools import lru_cache

from tcomp.ir.dtypes import boolean, i32
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, IndexValue, postorder

MOST_POSITIONS = 16


@lru_cache(1 << 12)
def table_iters(definition: Definition) -> tuple[Iter, ...]:
    """The iterators of the definition whose positions, all but one at least, have conditions `it == const`."""
    named: dict[Iter, set[int]] = {it: set() for it in definition.iters}
    for node in postorder(definition.body):
        found = selected(node)
        if found is not None and found[0] in named:
            named[found[0]].add(found[1])
    return tuple(
        it
        for it, positions in named.items()
        if positions
        and it.lo.is_constant
        and it.hi.is_constant
        and 1 < it.extent.constant <= MOST_POSITIONS
        and len(positions & set(range(it.lo.constant, it.hi.constant))) >= it.extent.constant - 1
    )


def selected(node: Expr) -> tuple[Iter, int] | None:
    """The iterator and its position if the node is a `where` that asks whether it is there."""
    match node:
        case Apply("where", (Apply("eq", (IndexValue(index, _), Const(value, _)), _), _, _), _):
            it = next(iter(index.leaves()), None)
            if isinstance(it, Iter) and Int.of(it) is index:
                return it, int(value)
    return None


def table(it: Iter, rows: tuple[Expr, ...]) -> Expr:
    """The expression that is `rows[n]` at the n-th position of an iterator."""
    *others, result = rows
    for position, row in reversed(list(enumerate(others))):
        here = Apply(
            "eq",
            (IndexValue(Int.of(it), i32), Const(it.lo.constant + position, i32)),
            boolean,
        )
        result = Apply("where", (here, row, result), row.dtype)
    return result
