"""Boundary tightening: ranges shrink to where guards let something but 0 come through."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Apply, Definition, Expr, Read, Reduce, substitute
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.index.reindex import reindexed, summed
from tcomp.passes.inline import zero
from tcomp.passes.simplify import simplify_expression


def tighten_output(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[t in 0:9] = (A[t - 1] else 0) * f  =  U[t in 1:8] = A[t - 1] * f; T[t] = U[t] else 0.

    All ranges at once; each side by itself, so that an asymmetric border stays asymmetric.
    """
    ranges = {it: _supported(definition.body, it) for it in definition.iters}
    if all(ranges[it] == (it.lo.constant, it.hi.constant) for it in definition.iters):
        return
    if any(lo >= hi for lo, hi in ranges.values()):
        return
    narrow = {it: Iter(it.name, Int.of(lo), Int.of(hi)) for it, (lo, hi) in ranges.items()}
    made = reindexed(
        definition,
        tuple(narrow[it] for it in definition.iters),
        {it: Int.of(narrow[it]) for it in definition.iters},
        tuple(Int.of(it) for it in definition.iters),
        taken,
        onto=True,
        otherwise=zero(definition.body),
    )
    if made is not None:
        yield made


def tighten_sum(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:9]((A[r - 1] else 0) * g)  =  sum[r in 1:8](A[r - 1] * g)."""
    if not isinstance(node, Reduce) or not summed(node):
        return
    ranges = {it: _supported(node.body, it) for it in node.iters}
    if all(ranges[it] == (it.lo.constant, it.hi.constant) for it in node.iters):
        return
    if any(lo >= hi for lo, hi in ranges.values()):
        return
    narrow = {it: Iter(it.name, Int.of(lo), Int.of(hi)) for it, (lo, hi) in ranges.items()}
    body = substitute(node.body, {it: Int.of(new) for it, new in narrow.items()})
    yield Reduce("sum", tuple(narrow.values()), simplify_expression(body))


def _supported(expr: Expr, it: Iter) -> tuple[int, int]:
    """The part of an iterator's range outside which an expression is certainly 0."""
    everywhere = (it.lo.constant, it.hi.constant)
    nowhere = (everywhere[0], everywhere[0])
    match expr:
        case Reduce("sum", _, body):
            return _supported(body, it)
        case Apply("mul", _, _):
            parts = [_supported(f, it) for f in factors_of(expr)]
            # What a guard makes 0 annihilates: its product with an infinite factor is no term.
            meet = (max(lo for lo, _ in parts), min(hi for _, hi in parts))
            return meet if meet[0] < meet[1] else nowhere
        case Apply("add" | "sub", args, _):
            parts = [_supported(a, it) for a in args]
            return min(lo for lo, _ in parts), max(hi for _, hi in parts)
        case Apply("neg" | "cast", (arg,), _):
            return _supported(arg, it)
        case Read(tensor, index, otherwise) if otherwise is not None and otherwise is zero(expr):
            low, high = everywhere
            for position, (lo, hi) in zip(index, tensor.axes, strict=True):
                step = position.coefficient(it)
                if step:
                    bound = _inside(position, it, step, lo.constant, hi.constant)
                    low, high = max(low, bound[0]), min(high, bound[1])
            return (low, high) if low < high else nowhere
    return everywhere


def _inside(position: Int, it: Iter, step: int, lo: int, hi: int) -> tuple[int, int]:
    """Where `it` must be for lo <= position < hi to hold for some values of the others."""
    rest = position - Int.of(it) * step
    least, most = rest.bounds()
    if least is None or most is None:
        return it.lo.constant, it.hi.constant
    if step < 0:  # lo <= -s*i + rest < hi  ->  -hi < s*i - rest <= -lo
        step, lo, hi, least, most = -step, 1 - hi, 1 - lo, -most, -least
    first = -((most - lo) // step)  # ceil((lo - most) / step)
    last = (hi - 1 - least) // step
    return first, last + 1
