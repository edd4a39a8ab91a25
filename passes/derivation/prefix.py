"""Cumulative reductions become scans: n * n terms become n."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    substitute,
)
from tcomp.ops import REDUCTIONS
from tcomp.passes.derivation.algebra import index_of
from tcomp.passes.derivation.index.reindex import depends_on_data
from tcomp.passes.derivation.rule import replaced
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.scoping import free_iters, fresh_name
from tcomp.passes.semiring import semiring_of


def scan_prefixes(definition: Definition, taken: set[str]) -> Iterator[tuple[Statement, ...]]:
    """Y[i] = sum[j](where(j <= i, f(j), 0))  =  scan[i] T[i] = (T[i-1] else 0) + f(i); Y[i] = T[i].

    In every semiring, and for sum[j](X[i - j] else 0) too.
    """
    for node in postorder_outside_reductions(definition.body):
        semiring = semiring_of(node)
        if semiring is None or not isinstance(node, Reduce) or depends_on_data(node):
            continue
        for it in definition.iters:
            term = _term(node, it)
            if term is not None:
                yield _scanned(definition, node, it, term, semiring.plus, set(taken))


def _scanned(
    definition: Definition, node: Reduce, it: Iter, term: Expr, plus: str, taken: set[str]
) -> tuple[Statement, ...]:
    own = free_iters(node)
    iters = tuple(i for i in definition.iters if i in own)
    tensor = Tensor(
        fresh_name(f"{definition.tensor.name}_prefix", taken),
        node.dtype,
        tuple((i.lo, i.hi) for i in iters),
    )
    before = Read(
        tensor, tuple(Int.of(i) - 1 if i is it else Int.of(i) for i in iters), _identity(node)
    )
    step = Definition(tensor, iters, Apply(plus, (before, term), node.dtype))
    here = Read(tensor, tuple(map(Int.of, iters)))
    body = replaced(definition.body, node, here)
    return Scan(it, (step,)), Definition(definition.tensor, definition.iters, body)


def _term(node: Reduce, it: Iter) -> Expr | None:
    """What a prefix takes in at `it`; None where the reduction is no prefix along it."""
    if len(node.iters) != 1:
        return None
    (inner,) = node.iters
    body = node.body
    if isinstance(body, Apply) and body.op == "where" and body.args[2] is _identity(node):
        condition, value, _ = body.args
        covers = inner.lo is it.lo and inner.hi.constant >= it.hi.constant
        if covers and it not in free_iters(value) and _is_prefix(condition, inner, it):
            return substitute(value, {inner: Int.of(it)})
    if isinstance(body, Read) and body.otherwise is _identity(node):
        return _shifted(body, inner, it)
    return None


def _is_prefix(condition: Expr, inner: Iter, it: Iter) -> bool:
    """Whether a condition says inner <= it."""
    if not isinstance(condition, Apply) or condition.op not in ("lt", "le", "gt", "ge"):
        return False
    left, right = (index_of(a) for a in condition.args)
    if left is None or right is None:
        return False
    ahead = right - left if condition.op in ("lt", "le") else left - right
    bound = 1 if condition.op in ("lt", "gt") else 0  # ahead >= bound
    return ahead - bound is Int.of(it) - inner


def _shifted(read: Read, inner: Iter, it: Iter) -> Expr | None:
    """X[i] for sum[j in 0:n](X[i - j] else 0), where n covers all positions up to i."""
    axes = [n for n, index in enumerate(read.index) if inner in index.leaves()]
    if len(axes) != 1 or inner.lo.constant or read.index[axes[0]] is not Int.of(it) - inner:
        return None
    lo, hi = (end.constant for end in read.tensor.axes[axes[0]])
    inside = lo == it.lo.constant and hi >= it.hi.constant
    others = [index for n, index in enumerate(read.index) if n != axes[0]]
    if (
        not inside
        or inner.extent.constant < it.extent.constant
        or any(it in i.leaves() for i in others)
    ):
        return None
    return Read(
        read.tensor,
        tuple(Int.of(it) if n == axes[0] else i for n, i in enumerate(read.index)),
        read.otherwise,
    )


def _identity(node: Reduce) -> Const:
    return Const(REDUCTIONS[node.op].identity(node.dtype), node.dtype)
