"""Reversals: iterators that run backwards run forwards, so that vectors are contiguous and windows slide forwards."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition, Expr, Reduce, postorder, substitute
from tcomp.passes.derivation.index.reindex import indices, reindexed, summed


def reverse_output(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[x in 0:n] = f(n - 1 - x)  =  U[x] = f(x); T[x] = U[n - 1 - x], where every position goes backwards with x.

    The map x -> n - 1 - x is its own inverse. All such iterators at once, of what reduces: elsewhere nothing
    is read twice.
    """
    if not any(isinstance(n, Reduce) for n in postorder(definition.body)):
        return
    turned = {it: _turned(it) for it in definition.iters if _backwards(definition.body, it)}
    if not turned:
        return
    made = reindexed(
        definition,
        definition.iters,
        turned,
        tuple(turned.get(it, Int.of(it)) for it in definition.iters),
        set(taken),
        onto=True,
    )
    if made is not None:
        yield made


def reverse_sum(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:n](f(n - 1 - r))  =  sum[r in 0:n](f(r)).

    Where every position goes backwards with r, or every one in which it slides against what is outside the sum:
    sum[r](f(y - r) * g(r)) is a window that slides forwards over f(y + r), with the weights turned.
    """
    if not isinstance(node, Reduce) or not summed(node):
        return
    turned = {
        it: _turned(it)
        for it in node.iters
        if _backwards(node.body, it) or _slides_backwards(node, it)
    }
    if turned:
        yield Reduce("sum", node.iters, substitute(node.body, turned))


def _turned(it: Iter) -> Int:
    return it.lo + it.hi - 1 - it


def _backwards(body: Expr, it: Iter) -> bool:
    """Whether an iterator occurs, and all positions that move with it go backwards."""
    steps = [i.coefficient(it) for i in indices(body) if it in i.leaves()]
    return bool(steps) and all(step is not None and step < 0 for step in steps)


def _slides_backwards(node: Reduce, it: Iter) -> bool:
    """Whether an iterator moves some position against the one iterator outside the sum that moves it too, and no
    position with it."""
    found = False
    for index in indices(node.body):
        outside = [a for a in index.leaves() if a not in node.iters]
        if it not in index.leaves() or not outside:
            continue
        steps = index.coefficient(it), index.coefficient(outside[0])
        if len(outside) > 1 or None in steps or (steps[0] or 0) * (steps[1] or 0) > 0:
            return False
        found = True
    return found
