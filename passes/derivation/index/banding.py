"""Banded operands: a sum over offsets of a band becomes one over the positions that a block of rows meets."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Expr, Reduce, substitute
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.index.reindex import depends_on_data, fresh, spans, summed, where
from tcomp.passes.derivation.index.residues import less
from tcomp.passes.inline import guarded
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import free_iters
from tcomp.passes.simplify import simplify_expression

FEWEST_ROWS = 8  # of a block: with fewer nothing is gained


def skew_sum(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[w](a(p, w) * v(p + w))  =  sum[t](a'(p, t - p) * v(t)), where a' is a in the range of w and 0 outside.

    Where each factor knows p, so that without this nothing is used twice: the rows p of a block of a band share
    the v(t). They have |p| + |w| - 1 terms each, so p must not have more values than w.
    """
    if not isinstance(node, Reduce) or not summed(node) or not is_product_sum(node):
        return
    if depends_on_data(node.body):
        return
    factors = factors_of(node.body)
    rows = frozenset.intersection(*map(free_iters, factors)) - set(node.iters)
    for w in node.iters:
        for p in sorted(rows, key=lambda it: it.name):
            if FEWEST_ROWS <= spans(p) <= spans(w):
                for sign in (1, -1):
                    made = _skewed(node, factors, w, p, sign, taken)
                    if made is not None:
                        yield made


def _skewed(
    node: Reduce, factors: tuple[Expr, ...], w: Iter, p: Iter, sign: int, taken: set[str]
) -> Expr | None:
    low, high = (Int.of(w) + Int.of(p) * sign).bounds()
    if low is None or high is None:
        return None
    place = fresh(w.name, low, high + 1, set(taken))
    offset = Int.of(place) - Int.of(p) * sign
    moved = [substitute(f, {w: offset}) for f in factors]
    sliding = [
        w in free_iters(f) and p not in free_iters(m) for f, m in zip(factors, moved, strict=True)
    ]
    band = [n for n, f in enumerate(factors) if w in free_iters(f) and not sliding[n]]
    if not any(sliding) or not band:
        return None
    for n in band:
        inside = where(less(w.lo - 1 - offset, Int.of(0)), guarded(moved[n]))
        moved[n] = simplify_expression(where(less(offset, w.hi), inside))
    iters = tuple(place if it is w else it for it in node.iters)
    return Reduce("sum", iters, multiply(moved))
